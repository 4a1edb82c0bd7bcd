//! Black-box suite, factories, fakes.
