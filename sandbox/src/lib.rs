//! A local stand-in for Meta's Graph API, with a simulated phone.
