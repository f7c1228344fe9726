//! Doing the steps: runs inside the new process, in the order of the list.
//!
//! Invariant: host objects are opened once and held; what is mounted is what was checked; targets
//! are found below the new root without following any link. The first failure ends everything.

use std::cell::RefCell;
use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use host_sys::diag::Transport;
use host_sys::file::{self, Kind};
use host_sys::landlock::{Ruleset, access, tcp};
use host_sys::mount::{self, Attributes};
use host_sys::{Errno, creds, limit, net, process, socket};
use manifest_spec::manifest::Protocol;

use super::message::Failure;
use super::seccomp;
use super::step::{Allowed, Bind, Landlock, Listen, Step};

/// Where the new root is attached for the moment before it becomes the root: a directory that
/// every host has and below which nothing is ever granted.
const FOOTHOLD: &str = "/sys";

/// What a program writes to its private directories may use this share of the memory.
const SCRATCH_SIZE: &std::ffi::CStr = c"25%";

/// Nothing but reading.
const READ_ONLY: Attributes =
    Attributes { read_only: true, no_setuid: true, no_devices: true, no_exec: true };

/// Why a step failed.
#[derive(Debug)]
pub(super) struct StepError {
    /// What the kernel said, if it was the kernel.
    pub errno: Option<Errno>,
    /// The object and the cause; may be empty.
    pub detail: String,
}

impl From<Errno> for StepError {
    fn from(errno: Errno) -> Self {
        StepError { errno: Some(errno), detail: String::new() }
    }
}

impl StepError {
    fn because(detail: String) -> Self {
        StepError { errno: None, detail }
    }

    /// The failure of the step with this index.
    pub(super) fn at(self, step: usize) -> Failure {
        Failure { step: step as u16, errno: self.errno, detail: self.detail }
    }
}

type Done = Result<(), StepError>;

/// A sandbox half built.
#[derive(Default)]
pub(super) struct Scaffold<'a> {
    /// Sockets that the caller gave for the program.
    given: &'a [OwnedFd],
    /// The network that was built for the instance.
    network: Option<BorrowedFd<'a>>,
    /// Sockets that the program gets, in its order.
    pub sockets: Vec<OwnedFd>,
    /// The host's root.
    host: Option<OwnedFd>,
    /// The new root.
    root: Option<OwnedFd>,
    /// The directory of the new root that was used last; the next step often wants the same.
    last: RefCell<Option<(PathBuf, Rc<OwnedFd>)>>,
    /// An empty directory and an empty file to hide others with.
    blanks: Option<(Rc<OwnedFd>, OwnedFd)>,
    /// Receives denied calls, once the filter stands.
    pub listener: Option<host_sys::seccomp::Listener>,
}

impl<'a> Scaffold<'a> {
    /// One to begin with.
    pub(super) fn new(given: &'a [OwnedFd], network: Option<BorrowedFd<'a>>) -> Self {
        Scaffold { given, network, ..Scaffold::default() }
    }

    /// Do one step. [`Step::Isolate`] was done by starting this process, and [`Step::Start`] is
    /// done by whoever holds the finished scaffold.
    pub(super) fn apply(&mut self, step: &Step) -> Done {
        match step {
            Step::Isolate(_) | Step::Start(_) => Ok(()),
            Step::MapUser { inside, outside } => Ok(creds::map_user(*inside, *outside)?),
            Step::DetachMounts => self.detach(),
            Step::NewRoot => self.new_root(),
            Step::Link { path, target } => self.link(path, target),
            Step::File { path, content } => self.write(path, content.as_bytes()),
            Step::Copy { path } => self.copy(path),
            Step::Bind(bind) => self.bind(bind),
            Step::Device(name) => self.device(name),
            Step::Scratch { path } => self.scratch(path),
            Step::Terminals => self.terminals(),
            Step::Processes => self.processes(),
            Step::Mask { path } => self.mask(Path::new(path)),
            Step::EnterRoot => self.enter(),
            Step::SealRoot => self.seal(),
            Step::Hostname(name) => Ok(net::set_hostname(name)?),
            Step::Loopback => Ok(net::loopback_up()?),
            Step::Limit { limit, value } => Ok(limit::set(*limit, *value)?),
            Step::LimitCapabilities(keep) => Ok(creds::limit_bounding_set(keep)?),
            Step::LeaveGroups => Ok(creds::drop_groups()?),
            Step::BecomeUser { uid, gid, capabilities } => become_user(*uid, *gid, capabilities),
            Step::NoNewPrivileges => Ok(process::no_new_privileges()?),
            Step::Landlock(landlock) => restrict(landlock),
            Step::Listen(listen) => self.listen(listen),
            Step::EnterNetwork => {
                let network = self.network.ok_or(Errno::EBADF)?;
                Ok(host_sys::namespace::enter_network(network)?)
            }
            Step::LeaveNetwork => Ok(process::leave_network()?),
            Step::OwnCgroups => Ok(process::own_cgroup_namespace()?),
            Step::FilterCalls { capabilities, syscalls, datagrams, groups, fast_open, notify } => {
                let request = seccomp::Request {
                    capabilities,
                    syscalls,
                    datagrams: *datagrams,
                    groups: *groups,
                    fast_open: *fast_open,
                    notify: *notify,
                };
                self.filter(request)
            }
        }
    }

    /// A socket for the program, made here so that it belongs to the instance's cgroup.
    fn listen(&mut self, listen: &Listen) -> Done {
        let made = match listen.given {
            Some(place) => {
                let given = self.given.get(place).ok_or(Errno::EBADF)?;
                process::lift(given.as_fd(), process::FIRST_PASSED)
            }
            None => bind(listen),
        };
        self.sockets.push(made.map_err(|errno| {
            let port = listen.port;
            let detail = match errno {
                Errno::EACCES => format!("port {port} is below net.ipv4.ip_unprivileged_port_start, so only root may bind it"),
                Errno::EADDRINUSE => format!("port {port} is in use"),
                _ => format!("port {port} can't be bound"),
            };
            StepError { errno: Some(errno), detail }
        })?);
        Ok(())
    }

    fn host(&self) -> Result<BorrowedFd<'_>, Errno> {
        self.host.as_ref().map(AsFd::as_fd).ok_or(Errno::EBADF)
    }

    fn root(&self) -> Result<BorrowedFd<'_>, Errno> {
        self.root.as_ref().map(AsFd::as_fd).ok_or(Errno::EBADF)
    }

    fn detach(&mut self) -> Done {
        let host = file::hold_root()?;
        mount::make_private(host.as_fd())?;
        self.host = Some(host);
        Ok(())
    }

    fn new_root(&mut self) -> Done {
        file::set_umask(0);
        let options = [(c"mode", Some(c"0755")), (c"size", Some(SCRATCH_SIZE))];
        let attributes = Attributes { no_setuid: true, no_devices: true, ..Attributes::default() };
        let root = mount::new_filesystem(c"tmpfs", &options, attributes)?;
        let foothold = file::hold_in_root(self.host()?, Path::new(FOOTHOLD))?;
        mount::attach(root.as_fd(), foothold.as_fd())?;
        self.root = Some(root);
        Ok(())
    }

    /// The directory a path inside lies in, made with its parents where it is missing, and the
    /// path's last component.
    fn parent<'p>(&self, path: &'p Path) -> Result<(Rc<OwnedFd>, &'p Path), Errno> {
        let (parent, name) = path.parent().zip(path.file_name()).ok_or(Errno::EINVAL)?;
        Ok((self.directory(parent)?, Path::new(name)))
    }

    /// Hold a directory inside, made with its parents where it is missing.
    fn directory(&self, path: &Path) -> Result<Rc<OwnedFd>, Errno> {
        if let Some((last, held)) = &*self.last.borrow()
            && last == path
        {
            return Ok(Rc::clone(held));
        }
        let held = match file::hold_in_root(self.root()?, path) {
            Err(Errno::ENOENT) => {
                let (parent, name) = self.parent(path)?;
                file::make_directory(parent.as_fd(), name, 0o755)?;
                file::hold(parent.as_fd(), name)
            }
            result => result,
        };
        let held = Rc::new(held?);
        *self.last.borrow_mut() = Some((path.to_owned(), Rc::clone(&held)));
        Ok(held)
    }

    /// Make a mount visible.
    fn attach(&self, mount: &OwnedFd, target: &OwnedFd) -> Done {
        mount::attach(mount.as_fd(), target.as_fd())?;
        // What is held of this place now lies under the mount.
        self.last.replace(None);
        Ok(())
    }

    fn link(&self, path: &Path, target: &Path) -> Done {
        let (parent, name) = self.parent(path)?;
        Ok(file::make_link(parent.as_fd(), name, target)?)
    }

    fn write(&self, path: &Path, content: &[u8]) -> Done {
        let (parent, name) = self.parent(path)?;
        let created = file::create(parent.as_fd(), name, 0o644)?;
        std::fs::File::from(created).write_all(content).map_err(|error| errno_of(&error))?;
        Ok(())
    }

    /// A host file's content, links followed as the host follows them.
    fn copy(&self, path: &Path) -> Done {
        let Ok(opened) = file::read_in_root(self.host()?, path) else { return Ok(()) };
        let status = file::status(opened.as_fd())?;
        if status.kind != Kind::File {
            return Ok(());
        }
        // A byte more than it has: the end is then seen by the first read.
        let mut content = vec![0; status.size as usize + 1];
        let length = file::read(opened.as_fd(), &mut content)?;
        self.write(path, &content[..length])
    }

    fn bind(&self, bind: &Bind) -> Done {
        let Some((source, kind)) = self.source(bind)? else { return Ok(()) };
        let target = match bind.nested {
            true => self.existing(&bind.target, kind)?,
            false => self.mount_point(&bind.target, kind)?,
        };
        let tree = mount::clone_tree(source.as_fd(), true)?;
        let attributes = Attributes {
            read_only: !bind.writable,
            no_setuid: true,
            no_devices: kind != Kind::Device,
            no_exec: !bind.exec,
        };
        mount::add_attributes(tree.as_fd(), attributes, true)?;
        self.attach(&tree, &target)
    }

    /// The host's object behind a bind: the very one that was found before this process existed, or
    /// for hostctl's own the one the host means. `None` for an absent one that may be absent.
    fn source(&self, bind: &Bind) -> Result<Option<(OwnedFd, Kind)>, StepError> {
        let shown = bind.source.display();
        let replaced = || StepError::because(format!("{shown} was replaced during the start"));
        let source = match bind.identity {
            Some(_) => file::hold_in_root(self.host()?, &bind.source),
            None => file::follow_in_root(self.host()?, &bind.source),
        };
        let source = match (source, bind.identity) {
            (Ok(source), _) => source,
            (Err(Errno::ENOENT), None) if bind.optional => return Ok(None),
            (Err(Errno::ENOENT | Errno::ELOOP | Errno::ENOTDIR), Some(_)) => return Err(replaced()),
            (Err(errno), _) => {
                return Err(StepError { errno: Some(errno), detail: shown.to_string() });
            }
        };
        let status = file::status(source.as_fd())?;
        if bind.identity.is_some_and(|identity| identity != status.identity) {
            return Err(replaced());
        }
        Ok(Some((source, status.kind)))
    }

    /// A new place in the root for a mount; or what is there already, if hostctl itself made it.
    fn mount_point(&self, path: &Path, kind: Kind) -> Result<Rc<OwnedFd>, StepError> {
        let (parent, name) = self.parent(path)?;
        let made = match kind {
            Kind::Directory => file::make_directory(parent.as_fd(), name, 0o755)
                .and_then(|()| file::hold(parent.as_fd(), name)),
            _ => file::create(parent.as_fd(), name, 0o444),
        };
        match made {
            Ok(made) => Ok(Rc::new(made)),
            Err(Errno::EEXIST) => self.existing(path, kind),
            Err(errno) => Err(errno.into()),
        }
    }

    /// The object inside that a mount covers.
    fn existing(&self, path: &Path, kind: Kind) -> Result<Rc<OwnedFd>, StepError> {
        let shown = path.display();
        let because = |detail: String| StepError::because(detail);
        let target = file::hold_in_root(self.root()?, path).map_err(|errno| match errno {
            Errno::ELOOP => {
                because(format!("{shown} leads through a symbolic link inside another grant"))
            }
            Errno::ENOENT => because(format!(
                "there is no {shown} to mount on inside the other grant, which is not changed for it"
            )),
            errno => errno.into(),
        })?;
        let directory = file::status(target.as_fd())?.kind == Kind::Directory;
        if directory != (kind == Kind::Directory) {
            return Err(because(format!("{shown} inside the other grant is of another type")));
        }
        Ok(Rc::new(target))
    }

    fn device(&self, name: &str) -> Done {
        let path = Path::new("/dev").join(name);
        let source = file::hold_in_root(self.host()?, &path)?;
        if file::status(source.as_fd())?.kind != Kind::Device {
            let detail = format!("{} on this host is not a device", path.display());
            return Err(StepError::because(detail));
        }
        let target = self.mount_point(&path, Kind::File)?;
        let tree = mount::clone_tree(source.as_fd(), false)?;
        let attributes = Attributes { no_setuid: true, no_exec: true, ..Attributes::default() };
        mount::add_attributes(tree.as_fd(), attributes, false)?;
        self.attach(&tree, &target)
    }

    /// A directory of the root's file system, mounted on itself: it stays writable when the root is
    /// sealed, which is a property of the mount.
    fn scratch(&self, path: &Path) -> Done {
        let (parent, name) = self.parent(path)?;
        file::make_directory(parent.as_fd(), name, 0o1777)?;
        let directory = file::hold(parent.as_fd(), name)?;
        let window = mount::clone_tree(directory.as_fd(), false)?;
        mount::add_attributes(window.as_fd(), Attributes { read_only: false, ..READ_ONLY }, false)?;
        self.attach(&window, &directory)
    }

    fn terminals(&self) -> Done {
        let options = [(c"ptmxmode", Some(c"0666")), (c"mode", Some(c"0620"))];
        let attributes = Attributes { no_setuid: true, no_exec: true, ..Attributes::default() };
        let terminals = mount::new_filesystem(c"devpts", &options, attributes)?;
        let target = self.directory(Path::new("/dev/pts"))?;
        self.attach(&terminals, &target)
    }

    fn processes(&self) -> Done {
        let processes = mount::new_filesystem(c"proc", &[], READ_ONLY).map_err(|errno| {
            let detail = match errno {
                Errno::EPERM => "the kernel lets only those mount /proc who see all of the host's; parts of it are hidden here, as in a container".to_owned(),
                _ => String::new(),
            };
            StepError { errno: Some(errno), detail }
        })?;
        let target = self.directory(Path::new("/proc"))?;
        self.attach(&processes, &target)
    }

    fn mask(&mut self, path: &Path) -> Done {
        let target = match file::hold_in_root(self.root()?, path) {
            Err(Errno::ENOENT) => return Ok(()),
            target => target?,
        };
        if self.blanks.is_none() {
            let directory = self.directory(Path::new("/run/hostctl/blank"))?;
            let (parent, _) = self.parent(Path::new("/run/hostctl/blank"))?;
            let blank = file::create(parent.as_fd(), Path::new("blank-file"), 0o000)?;
            self.blanks = Some((directory, blank));
        }
        let Some((directory, blank)) = &self.blanks else { return Err(Errno::EBADF.into()) };
        let kind = file::status(target.as_fd())?.kind;
        let source = if kind == Kind::Directory { directory.as_fd() } else { blank.as_fd() };
        let tree = mount::clone_tree(source, false)?;
        mount::add_attributes(tree.as_fd(), READ_ONLY, false)?;
        self.attach(&tree, &target)
    }

    fn enter(&mut self) -> Done {
        mount::pivot_into(self.root()?)?;
        // From here on the host's files are out of reach.
        self.host = None;
        self.blanks = None;
        self.last.replace(None);
        Ok(())
    }

    fn seal(&self) -> Done {
        file::set_umask(0o022);
        let attributes = Attributes { read_only: true, ..Attributes::default() };
        Ok(mount::add_attributes(self.root()?, attributes, false)?)
    }

    fn filter(&mut self, request: seccomp::Request<'_>) -> Done {
        let install = |notify| -> Result<_, StepError> {
            let request = seccomp::Request { notify, ..request };
            let program = seccomp::compile(&request)
                .map_err(|unknown| StepError::because(unknown.to_string()))?;
            let program: Vec<_> = program
                .iter()
                .map(|i| host_sys::seccomp::instruction(i.code, i.jt, i.jf, i.k))
                .collect();
            Ok(host_sys::seccomp::install(&program, notify)?)
        };
        self.listener = match install(request.notify) {
            // Another supervisor listens already (a sandbox in a sandbox): deny without a name.
            Err(StepError { errno: Some(Errno::EBUSY), .. }) => install(false)?,
            result => result?,
        };
        Ok(())
    }
}

/// On all addresses, or where there is one of its own on that, which the bind hook sees to.
fn bind(listen: &Listen) -> Result<OwnedFd, Errno> {
    let transport = match listen.protocol {
        Protocol::Tcp => Transport::Tcp,
        Protocol::Udp => Transport::Udp,
    };
    let on = |address| {
        let at = SocketAddr::new(address, listen.port);
        socket::bound(transport, at, listen.interface.as_deref())
    };
    if listen.own_address {
        return on(Ipv4Addr::UNSPECIFIED.into());
    }
    match on(Ipv6Addr::UNSPECIFIED.into()) {
        // A host without IPv6.
        Err(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL) => on(Ipv4Addr::UNSPECIFIED.into()),
        result => result,
    }
}

fn become_user(uid: u32, gid: u32, capabilities: &[String]) -> Done {
    if !capabilities.is_empty() {
        creds::keep_capabilities()?;
    }
    creds::become_user(uid, gid)?;
    creds::set_capabilities(capabilities)?;
    // A change of credentials has cleared the first and set the second to the host's default.
    process::die_with_parent()?;
    Ok(process::forbid_tracing()?)
}

fn restrict(landlock: &Landlock) -> Done {
    let handled = |ports: &Option<Vec<u16>>, access| ports.as_ref().map_or(0, |_| access);
    let ports = handled(&landlock.bind, tcp::BIND) | handled(&landlock.connect, tcp::CONNECT);
    let ruleset = Ruleset::new(landlock.abi, ports, true)?;
    for port in landlock.bind.iter().flatten() {
        ruleset.allow_port(*port, tcp::BIND)?;
    }
    for port in landlock.connect.iter().flatten() {
        ruleset.allow_port(*port, tcp::CONNECT)?;
    }
    let root = file::hold_root()?;
    for (path, allowed) in &landlock.rules {
        let object = file::hold_in_root(root.as_fd(), path).map_err(|errno| StepError {
            errno: Some(errno),
            detail: path.display().to_string(),
        })?;
        let directory = file::status(object.as_fd())?.kind == Kind::Directory;
        ruleset.allow(object.as_fd(), rights(*allowed, directory))?;
    }
    Ok(ruleset.restrict_self()?)
}

/// Landlock rights behind a word; a file takes fewer than a directory.
fn rights(allowed: Allowed, directory: bool) -> u64 {
    let read = access::READ_FILE | access::READ_DIR;
    let all = u64::MAX;
    let rights = match allowed {
        Allowed::Read => read,
        Allowed::Execute => read | access::EXECUTE,
        Allowed::Write => all & !access::EXECUTE,
        Allowed::All => all,
        Allowed::Devices => read | access::WRITE_FILE | access::IOCTL_DEV,
    };
    let of_files = access::READ_FILE
        | access::WRITE_FILE
        | access::EXECUTE
        | access::TRUNCATE
        | access::IOCTL_DEV;
    if directory { rights } else { rights & of_files }
}

pub(super) fn errno_of(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
