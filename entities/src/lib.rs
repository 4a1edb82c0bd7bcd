//! sea-orm entities, typed ids and enums.
