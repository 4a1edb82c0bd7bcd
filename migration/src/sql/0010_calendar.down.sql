drop table brands;
alter table tenants drop column version;
alter table tenants drop column time_format;
alter table tenants drop column date_format;
alter table tenants drop column week_start;
alter table tenants drop column currency;
drop table calendar_feeds;
drop index activities_ends;
alter table activities drop column all_day;
