//! A root of its own for a program that has paths and users built in.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::peer::missing;

/// The user whose mailboxes these are: any that is not privileged will do.
pub(super) const MAILBOX_OWNER: u32 = 5000;

/// A copy of what `tests/install-peers` unpacked, in which a program finds nothing but that.
pub(super) struct Jail(TempDir);

impl Jail {
    /// Copies `target/peers/<peer>`, and makes the users, each with a number and a home. `None` if it is not there and
    /// the scenario may be left out.
    pub(super) fn new(peer: &str, users: &[(&str, u32, &str)]) -> Option<Self> {
        let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers").join(peer);
        if !unpacked.is_dir() {
            return missing(&format!("{peer} (tests/install-peers unpacks it)"));
        }
        let jail = Self(tempfile::tempdir().expect("a temporary folder"));
        run(Command::new("cp").arg("-a").arg(unpacked.join(".")).arg(jail.0.path()));
        fs::set_permissions(jail.0.path(), Permissions::from_mode(0o755)).expect("an open folder");
        jail.folder("tmp", 0, 0o1777);
        jail.folder("dev", 0, 0o755);
        for (name, minor) in [("null", "3"), ("urandom", "9")] {
            run(Command::new("mknod")
                .args(["-m", "666"])
                .arg(jail.path("dev").join(name))
                .args(["c", "1", minor]));
        }
        jail.make_users(users);
        Some(jail)
    }

    /// Where a file of the jail is for us.
    pub(super) fn path(&self, inside: &str) -> PathBuf {
        self.0.path().join(inside)
    }

    /// Writes a file that all may read.
    pub(super) fn write(&self, inside: &str, text: &str) {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, text).expect("a file");
    }

    /// Makes a folder that belongs to a user.
    pub(super) fn folder(&self, inside: &str, owner: u32, mode: u32) {
        let path = self.path(inside);
        fs::create_dir_all(&path).expect("a folder");
        chown(&path, Some(owner), Some(owner)).expect("a folder of a user's own");
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("permissions");
    }

    /// A command that runs a program in the jail, with no environment.
    pub(super) fn command<A: AsRef<OsStr>>(&self, program: &str, arguments: &[A]) -> Command {
        let mut command = Command::new("chroot");
        command.arg(self.0.path()).arg(program).args(arguments);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null());
        command
    }

    /// Starts a program that stays, and writes what it says to `said`.
    pub(super) fn spawn(&self, program: &str, arguments: &[&str]) -> Child {
        let said = File::create(self.path("said")).expect("a file");
        let mut command = self.command(program, arguments);
        command.stdout(said.try_clone().expect("a file")).stderr(said);
        command.spawn().expect("the program starts")
    }

    fn make_users(&self, users: &[(&str, u32, &str)]) {
        let root = ("root", 0, "/");
        let all = || [root].into_iter().chain(users.iter().copied());
        let passwd: Vec<String> =
            all().map(|(name, id, home)| format!("{name}:x:{id}:{id}::{home}:/bin/sh\n")).collect();
        let group: Vec<String> = all().map(|(name, id, _)| format!("{name}:x:{id}:\n")).collect();
        self.write("etc/passwd", &passwd.concat());
        self.write("etc/group", &group.concat());
        for (_, id, home) in users {
            self.folder(home.trim_start_matches('/'), *id, 0o755);
        }
    }
}

/// Ends a program that was started in a jail, and lets it end its own.
pub(super) fn stop(mut program: Child) {
    run(Command::new("kill").arg(program.id().to_string()));
    program.wait().expect("the program's end");
}

fn run(command: &mut Command) {
    let output = command.output().expect("the command starts");
    assert!(output.status.success(), "{command:?}: {output:?}");
}
