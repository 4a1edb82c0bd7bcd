//! Side-by-side measurements against other queues.
