drop index sessions_family;
alter table sessions drop column last_seen_at;
alter table sessions drop column rotated_at;
alter table sessions drop column salt;
alter table sessions drop column previous_hash;
alter table sessions drop column family_hash;
