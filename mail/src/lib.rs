//! SMTP sending. No database.
