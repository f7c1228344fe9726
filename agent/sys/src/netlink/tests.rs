use super::*;
use crate::namespace;

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTNLGRP_LINK: u32 = 1;
const REQUEST: u16 = libc::NLM_F_REQUEST as u16;
const ACK: u16 = libc::NLM_F_ACK as u16;
const DUMP: u16 = libc::NLM_F_DUMP as u16;

/// A message about a link by its number: ifinfomsg without attributes.
fn link(kind: u16, flags: u16, sequence: u32, index: i32, up: u32) -> Vec<u8> {
    let mut bytes = 32_u32.to_ne_bytes().to_vec();
    bytes.extend([kind.to_ne_bytes(), flags.to_ne_bytes()].concat());
    bytes.extend([sequence.to_ne_bytes(), [0; 4], [0; 4]].concat());
    bytes.extend([index.to_ne_bytes(), up.to_ne_bytes(), up.to_ne_bytes()].concat());
    bytes
}

#[test]
fn refusals_name_their_message_and_have_words() {
    let space = namespace::new_network().unwrap();
    let netlink = namespace::visit(&space, || Netlink::open(Family::Route)).unwrap().unwrap();
    let mut batch = link(RTM_NEWLINK, REQUEST | ACK, 7, 1, 1);
    batch.extend(link(RTM_DELLINK, REQUEST | ACK, 8, 1, 0));
    let refusal = netlink.request(&batch).unwrap_err();
    assert_eq!((refusal.sequence, refusal.errno), (8, Errno::EOPNOTSUPP));
    // Nothing is left of the batch for the next request to stumble over.
    assert_eq!(netlink.receive(false), Ok(None));
    let unknown = link(RTM_GETLINK, REQUEST | ACK, 9, 99, 0);
    assert_eq!(netlink.request(&unknown).unwrap_err().errno, Errno::ENODEV);
    // The kernel has words for an ifinfomsg that is not all zero in a dump's request.
    let strict = link(RTM_GETLINK, REQUEST | DUMP, 10, 0, 1);
    netlink.option(libc::NETLINK_GET_STRICT_CHK, 1).unwrap();
    let refusal = netlink.ask(&strict, |_| ()).unwrap_err();
    assert!(refusal.text.as_deref().is_some_and(|text| !text.is_empty()), "{refusal:?}");
    assert!(refusal.to_string().starts_with("Invalid argument ("), "{refusal}");
}

#[test]
fn a_dump_has_all_links_and_an_end() {
    let space = namespace::new_network().unwrap();
    let netlink = namespace::visit(&space, || Netlink::open(Family::Route)).unwrap().unwrap();
    let mut found = Vec::new();
    let all = link(RTM_GETLINK, REQUEST | DUMP, 1, 0, 0);
    netlink.ask(&all, |message| found.push(message.kind)).unwrap();
    assert_eq!(found, [RTM_NEWLINK], "the loopback device alone");
}

#[test]
fn a_group_tells_of_changes() {
    let space = namespace::new_network().unwrap();
    let open = || Netlink::open(Family::Route).unwrap();
    let (speaker, listener) = namespace::visit(&space, || (open(), open())).unwrap();
    listener.join(RTNLGRP_LINK).unwrap();
    assert_eq!(listener.receive(false), Ok(None));
    speaker.request(&link(RTM_NEWLINK, REQUEST | ACK, 1, 1, 1)).unwrap();
    let told = listener.receive(true).unwrap().unwrap();
    assert_eq!(messages(&told).next().unwrap().kind, RTM_NEWLINK);
}

#[test]
fn malformed_datagrams_end_where_they_lie() {
    for bytes in [&[][..], &[1], &[15, 0, 0, 0, 0, 0, 0, 0], &[200, 0, 0, 0, 2, 0, 0, 0]] {
        assert_eq!(messages(bytes).count(), 0, "{bytes:?}");
    }
    let mut short = link(RTM_NEWLINK, 0, 1, 1, 0);
    short.extend([255, 255, 0, 0]);
    assert_eq!(messages(&short).count(), 1);
}
