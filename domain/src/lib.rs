//! The rules of the CRM: DTOs, write engine, job payloads.
