alter table sessions drop column device_hash;
drop table sign_in_failures;
