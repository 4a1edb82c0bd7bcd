-- A second factor at sign-in: the codes of an authenticator, and recovery codes for who has lost it.

create table second_factors (
    tenant_id {uuid} not null,
    user_id {uuid} not null,
    secret text not null,                -- what the codes are made of, sealed
    confirmed_at {time},                 -- from then on it is asked for
    last_step bigint not null default 0, -- of the newest code taken: each is good once
    failures bigint not null default 0,  -- wrong codes since
    failed_at {time},
    created_at {time} not null default {now},
    primary key (tenant_id, user_id),
    foreign key (tenant_id, user_id) references users (tenant_id, id)
);

create table recovery_codes (
    tenant_id {uuid} not null,
    user_id {uuid} not null,
    code_hash text not null,             -- SHA-256; a code that was used is deleted
    primary key (tenant_id, user_id, code_hash),
    foreign key (tenant_id, user_id) references second_factors (tenant_id, user_id) on delete cascade
);
