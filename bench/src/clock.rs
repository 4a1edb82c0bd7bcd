//! One clock for all processes of a run: the machine's monotonic one, which Node reads with `process.hrtime`.

use rustix::time::{ClockId, clock_gettime};

/// Milliseconds since some fixed moment, the same one in every process.
pub(crate) fn now() -> f64 {
    let time = clock_gettime(ClockId::Monotonic);
    let (seconds, nanos) = (time.tv_sec as f64, time.tv_nsec as f64);
    seconds * 1e3 + nanos / 1e6
}
