-- What is mailed as a link: to choose another password, to join a company. Each is good once; a link that was used is deleted.

create table password_resets (
    id {uuid} primary key,
    tenant_id {uuid} not null,
    user_id {uuid} not null,
    token_hash text unique,              -- SHA-256; made when the mail is written
    expires_at {time} not null,
    created_at {time} not null default {now},
    unique (tenant_id, id),
    foreign key (tenant_id, user_id) references users (tenant_id, id)
);
create index password_resets_user on password_resets (tenant_id, user_id);

create table invitations (
    id {uuid} primary key,
    tenant_id {uuid} not null references tenants (id),
    email text not null,
    role text not null,
    invited_by {uuid},
    token_hash text unique,              -- as above
    expires_at {time} not null,
    created_at {time} not null default {now},
    unique (tenant_id, id),
    unique (tenant_id, email),
    foreign key (tenant_id, invited_by) references users (tenant_id, id)
);
