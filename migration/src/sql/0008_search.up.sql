-- What the searched fields of records say, a row for each: `domain::resource::search` writes and reads them.

--pg do $$ begin
--pg     create extension if not exists pg_trgm;
--pg     create extension if not exists btree_gin;
--pg exception when others then
--pg     raise exception 'SOMO searches with PostgreSQL''s extensions pg_trgm and btree_gin, and can''t make them here. Install PostgreSQL''s contrib package, or let a superuser say in this database: create extension pg_trgm; create extension btree_gin; then migrate again. PostgreSQL says: %', sqlerrm;
--pg end $$;

create table search_texts (
--lite     id {serial},
    tenant_id {uuid} not null references tenants (id),
    topic text not null,
    record_id {uuid} not null,           -- a record of the topic
    field text not null,                 -- or `custom.` and a key
    text text not null,                  -- without case and accents, two spaces before each word
--pg     primary key (tenant_id, record_id, field)
--lite     unique (tenant_id, record_id, field)
);
--pg create index search_texts_parts on search_texts using gin (tenant_id, topic, text gin_trgm_ops);
--lite create virtual table search_index using fts5(text, content='search_texts', content_rowid='id', tokenize='trigram case_sensitive 1');
--lite create trigger search_texts_inserted after insert on search_texts begin
--lite     insert into search_index (rowid, text) values (new.id, new.text);
--lite end;
--lite create trigger search_texts_deleted after delete on search_texts begin
--lite     insert into search_index (search_index, rowid, text) values ('delete', old.id, old.text);
--lite end;
--lite create trigger search_texts_updated after update on search_texts begin
--lite     insert into search_index (search_index, rowid, text) values ('delete', old.id, old.text);
--lite     insert into search_index (rowid, text) values (new.id, new.text);
--lite end;

-- Records that are there already are taken in by a job.
--pg insert into jobs (id, tenant_id, queue, kind, payload, priority)
--pg     select gen_random_uuid(), '00000000-0000-0000-0000-000000000000', 'maintenance', 'search.rebuild', '{"topic":null,"after":null}', 3
--lite insert into jobs (id, tenant_id, queue, kind, payload, priority)
--lite     select randomblob(16), zeroblob(16), 'maintenance', 'search.rebuild', '{"topic":null,"after":null}', 3
    where exists (select 1 from tenants);
