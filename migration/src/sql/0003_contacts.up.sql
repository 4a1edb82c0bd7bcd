create table contacts (
    id {uuid} primary key,
    tenant_id {uuid} not null references tenants (id),
    first_name text not null,
    last_name text,
    owner_id {uuid},
    source text,
    version integer not null default 1,
    deleted_at {time},
    created_at {time} not null default {now},
    updated_at {time} not null default {now},
    unique (tenant_id, id),
    foreign key (tenant_id, owner_id) references users (tenant_id, id)
);

create table contact_phones (
    id {uuid} primary key,
    tenant_id {uuid} not null,
    contact_id {uuid} not null,
    number text not null,                -- E.164
    kind text not null default 'mobile',
    unique (tenant_id, id),
    unique (tenant_id, contact_id, number),
    foreign key (tenant_id, contact_id) references contacts (tenant_id, id) on delete cascade
);
create index contact_phones_number on contact_phones (tenant_id, number);

create table contact_emails (
    id {uuid} primary key,
    tenant_id {uuid} not null,
    contact_id {uuid} not null,
    email text not null,                 -- lower case
    kind text not null default 'work',
    unique (tenant_id, id),
    unique (tenant_id, contact_id, email),
    foreign key (tenant_id, contact_id) references contacts (tenant_id, id) on delete cascade
);
create index contact_emails_email on contact_emails (tenant_id, email);

-- Under what names a contact is known outside: one row a name, one contact a name.
create table contact_identities (
    id {uuid} primary key,
    tenant_id {uuid} not null,
    contact_id {uuid} not null,
    kind text not null,                  -- wa_id, phone (canonical), lid, email
    value text not null,
    created_at {time} not null default {now},
    unique (tenant_id, id),
    unique (tenant_id, kind, value),
    foreign key (tenant_id, contact_id) references contacts (tenant_id, id) on delete cascade
);
create index contact_identities_contact on contact_identities (tenant_id, contact_id);
