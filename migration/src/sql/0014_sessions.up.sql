-- Sessions: a refresh token that is used twice is noticed, and people see where they are signed in.

-- SHA-256 of what every refresh token of the session begins with: any of them finds it, used up or not.
alter table sessions add column family_hash text;
alter table sessions add column previous_hash text;  -- SHA-256 of the token before the current one
alter table sessions add column salt text;           -- what the current one was made of it with
alter table sessions add column rotated_at {time};
alter table sessions add column last_seen_at {time};
create unique index sessions_family on sessions (family_hash);
