drop table import_faults;
drop table import_records;
drop table imports;
