delete from jobs where kind = 'search.rebuild';
drop table search_texts;
--lite drop table search_index;
-- The extensions stay: others may use them.
