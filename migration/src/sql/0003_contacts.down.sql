drop table contact_identities;
drop table contact_emails;
drop table contact_phones;
drop table contacts;
