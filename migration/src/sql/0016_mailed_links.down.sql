drop table invitations;
drop table password_resets;
