//! The closed choices of the format: each word and what it means.

use crate::decode::choice;
use crate::manifest::{Address, Base, Days, Full, Missed, Network, Overlap, Protocol};
use crate::manifest::{Unserved, User};

choice!(Base {
    "system" => System: "read-only /usr and the few files of /etc a dynamically linked program needs";
    "none" => None: "nothing";
});

choice!(Network {
    "host" => Host: "the host's own network stack";
    "none" => None: "an empty network namespace";
    "private" => Private: "a network namespace of its own, joined to the host's";
});

choice!(Address {
    "host" => Host: "whichever the program binds";
    "own" => Own: "one on the loopback interface that is this instance's alone";
});

choice!(User {
    "own" => Own: "the app's own uid";
    "root" => Root: "uid 0, where the host policy allows it";
});

choice!(Protocol {
    "tcp" => Tcp: "TCP";
    "udp" => Udp: "UDP";
});

choice!(Unserved {
    "refuse" => Refuse: "they are refused at once";
    "wait" => Wait: "they get no answer, and try again by themselves";
});

choice!(Overlap {
    "skip" => Skip: "do not start, and record it";
    "queue" => Queue: "start when the running one ends";
    "replace" => Replace: "end the running one first";
    "allow" => Allow: "start beside it";
});

choice!(Missed {
    "skip" => Skip: "make up for none";
    "once" => Once: "one run for all of them";
    "all" => All: "one run for each";
});

choice!(Days {
    "either" => Either: "a day that matches one of the two fields";
    "both" => Both: "a day that matches both";
});

choice!(Full {
    "drop-oldest" => DropOldest: "the oldest records are deleted for the new ones";
    "drop-newest" => DropNewest: "new records are dropped";
    "block" => Block: "the program waits until there is room";
});
