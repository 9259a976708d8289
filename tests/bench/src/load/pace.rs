//! A steady pace, kept to some ten microseconds: the runtime's own timers know only whole milliseconds, which is as long as
//! what is to be measured.

use std::io;
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::Mutex;

/// A pace.
pub(super) struct Pace {
    began: Instant,
    interval: Duration,
    /// Read as a pipe is: there are eight octets each time that it expires. Who holds it waits for the next operation,
    /// those behind for later ones.
    timer: Mutex<Receiver>,
}

impl Pace {
    pub(super) fn new(began: Instant, per_second: f64) -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = Receiver::from_owned_fd_unchecked(timerfd_create(TimerfdClockId::Monotonic, flags)?)?;
        Ok(Self { began, interval: Duration::from_secs_f64(1.0 / per_second), timer: Mutex::new(timer) })
    }

    /// When an operation is due.
    pub(super) fn due(&self, number: u64) -> Instant {
        self.began + self.interval.mul_f64(number as f64)
    }

    /// Waits until then. Whoever comes first waits for what is due first.
    pub(super) async fn until(&self, due: Instant) -> io::Result<()> {
        let mut timer = self.timer.lock().await;
        let wait = due.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            return Ok(());
        }
        let it_value = Timespec::try_from(wait).map_err(io::Error::other)?;
        let once = Itimerspec { it_interval: Timespec::default(), it_value };
        timerfd_settime(&*timer, TimerfdTimerFlags::empty(), &once)?;
        timer.read_exact(&mut [0; 8]).await?;
        Ok(())
    }
}
