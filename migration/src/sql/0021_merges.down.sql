drop table duplicate_dismissals;
drop table merge_moves;
drop table merge_records;
drop table merges;
