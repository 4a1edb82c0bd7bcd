-- Fields that tenants add to their records.

create table custom_fields (
    id {uuid} primary key,
    tenant_id {uuid} not null references tenants (id),
    topic text not null,
    key text not null,
    name text not null,
    kind text not null,
    description text,
    required {bool} not null,
    "unique" {bool} not null,
    position bigint not null,
    version bigint not null default 1,
    created_at {time} not null default {now},
    updated_at {time} not null default {now},
    deleted_at {time},
    unique (tenant_id, id),
    unique (tenant_id, topic, key)
);
create index custom_fields_trash on custom_fields (deleted_at) where deleted_at is not null;

create table custom_field_options (
    id {uuid} primary key,
    tenant_id {uuid} not null,
    custom_field_id {uuid} not null,
    value text not null,
    foreign key (tenant_id, custom_field_id) references custom_fields (tenant_id, id)
);
create index custom_field_options_of on custom_field_options (tenant_id, custom_field_id);

alter table contacts add column custom {json} not null default '{}';
alter table companies add column custom {json} not null default '{}';
alter table deals add column custom {json} not null default '{}';
alter table activities add column custom {json} not null default '{}';
alter table products add column custom {json} not null default '{}';

-- What is equal is found by these; records that have nothing in it are left out.
--pg create index contacts_custom on contacts using gin (custom jsonb_path_ops) where custom <> '{}'::jsonb;
--pg create index companies_custom on companies using gin (custom jsonb_path_ops) where custom <> '{}'::jsonb;
--pg create index deals_custom on deals using gin (custom jsonb_path_ops) where custom <> '{}'::jsonb;
--pg create index activities_custom on activities using gin (custom jsonb_path_ops) where custom <> '{}'::jsonb;
--pg create index products_custom on products using gin (custom jsonb_path_ops) where custom <> '{}'::jsonb;
