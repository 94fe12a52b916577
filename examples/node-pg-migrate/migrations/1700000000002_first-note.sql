-- Up Migration
insert into notes values (1);

-- Down Migration
delete from notes;
