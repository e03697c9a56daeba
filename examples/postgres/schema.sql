create table if not exists item (name text primary key, price numeric not null);
insert into item values ('tea', 2.50), ('coffee', 3.20), ('cake', 4.00)
  on conflict do nothing;
