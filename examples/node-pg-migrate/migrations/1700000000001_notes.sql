-- Up Migration
create table notes (id int primary key);

-- Down Migration
drop table notes;
