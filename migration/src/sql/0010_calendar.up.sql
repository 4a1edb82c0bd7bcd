-- Calendars: whole days, feeds. What a company sets, and how it shows itself.

alter table activities add column all_day {bool} not null default {false};
-- What reaches into a time from before it.
create index activities_ends on activities (tenant_id, ends_at, due_at) where deleted_at is null and ends_at is not null;

create table calendar_feeds (
    tenant_id {uuid} not null,
    user_id {uuid} not null,
    token_hash text not null unique,     -- SHA-256; the address with the token in it is shown once
    created_at {time} not null default {now},
    last_read_at {time},
    primary key (tenant_id, user_id),
    foreign key (tenant_id, user_id) references users (tenant_id, id)
);

alter table tenants add column currency text not null default 'BRL';
alter table tenants add column week_start text not null default 'monday';
alter table tenants add column date_format text not null default 'DD/MM/YYYY';
alter table tenants add column time_format text not null default '24h';
alter table tenants add column version bigint not null default 1;

-- `texts` is {locale: {place: text}}.
create table brands (
    id {uuid} primary key,
    tenant_id {uuid} not null references tenants (id),
    name text not null,
    display_name text,
    logo_url text,
    logo_dark_url text,
    primary_color text,
    texts {json} not null default '{}',
    is_default {bool} not null,
    version bigint not null default 1,
    created_at {time} not null default {now},
    updated_at {time} not null default {now},
    deleted_at {time},
    unique (tenant_id, id)
);
create index brands_newest on brands (tenant_id, created_at desc, id desc) where deleted_at is null;
create index brands_trash on brands (deleted_at) where deleted_at is not null;
create unique index brands_name on brands (tenant_id, {fold(name)}) where deleted_at is null;
