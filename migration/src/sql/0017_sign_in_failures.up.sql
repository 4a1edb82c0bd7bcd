-- Who tries passwords is slowed down, and who was here before isn't by others.

create table sign_in_failures (
    key text primary key,                -- SHA-256 of whom it was tried for, and from where
    failures bigint not null,
    failed_at {time} not null
);
create index sign_in_failures_over on sign_in_failures (failed_at);

alter table sessions add column device_hash text; -- SHA-256 of the cookie that a browser is known by
