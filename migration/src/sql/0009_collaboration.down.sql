drop table attachments;
drop table saved_view_columns;
drop table saved_views;
drop table notifications;
drop table followers;
drop table comment_reactions;
drop table comment_mentions;
drop table comments;
