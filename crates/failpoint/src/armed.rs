//! The points of a process that may have to die.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rustix::process::{Signal, getpid, kill_process};

use crate::{FOLDER, Point};

/// What a test wants of this process.
struct Orders {
    folder: PathBuf,
    /// What the kernel calls the process.
    process: String,
    /// The points that were come to, a bit each.
    reached: AtomicU64,
    death: Option<Death>,
}

struct Death {
    point: Point,
    /// How often the point is still passed, this time included.
    left: AtomicU32,
}

const _: () = assert!(Point::ALL.len() <= u64::BITS as usize);

/// `None` inside: there are none.
static ORDERS: OnceLock<Option<Orders>> = OnceLock::new();

pub(crate) fn hit(point: Point) {
    // Once they are known this is one load.
    if let Some(orders) = ORDERS.get_or_init(Orders::read) {
        orders.obey(point);
    }
}

impl Orders {
    fn read() -> Option<Self> {
        let folder = PathBuf::from(env::var_os(FOLDER)?);
        // That of the main thread, whichever comes here first.
        let process = fs::read_to_string("/proc/self/comm").ok()?.trim().to_owned();
        let death = take(&folder.join(&process));
        Some(Self { folder, process, reached: AtomicU64::new(0), death })
    }

    fn obey(&self, point: Point) {
        let bit = 1 << point as u64;
        if self.reached.load(Ordering::Relaxed) & bit == 0 {
            self.reached.fetch_or(bit, Ordering::Relaxed);
            self.leave(&format!("reached.{}", point.name()));
        }
        if let Some(death) = &self.death
            && death.point == point
            && death.left.fetch_sub(1, Ordering::Relaxed) == 1
        {
            self.leave("died");
            die();
        }
    }

    /// Leaves a file with the process's number for the test; whole or not at all.
    fn leave(&self, what: &str) {
        let name = format!("{}.{what}", self.process);
        let (file, new) = (self.folder.join(&name), self.folder.join(format!("{name}.new")));
        // A test that does not find it says so.
        let _ = fs::write(&new, process::id().to_string()).and_then(|()| fs::rename(&new, &file));
    }
}

/// Reads an order and takes it away.
fn take(file: &Path) -> Option<Death> {
    let text = fs::read_to_string(file).ok()?;
    fs::remove_file(file).ok()?;
    let (name, times) = text.trim().split_once(' ')?;
    let point = Point::ALL.iter().copied().find(|point| point.name() == name)?;
    Some(Death { point, left: AtomicU32::new(times.parse().ok()?) })
}

fn die() -> ! {
    // The kernel does not come back from this.
    let _ = kill_process(getpid(), Signal::KILL);
    process::abort()
}
