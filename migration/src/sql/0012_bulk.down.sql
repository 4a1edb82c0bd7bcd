drop table bulk_faults;
drop table bulk_runs;
