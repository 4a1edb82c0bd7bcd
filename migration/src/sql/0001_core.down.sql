drop table schedules;
drop table idempotency_keys;
drop table events;
drop table settings;
drop table personal_access_tokens;
drop table sessions;
drop table users;
drop table tenants;
