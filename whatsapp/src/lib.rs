//! WhatsApp providers behind one Channel trait. No database.
