create table if not exists visit (
  id bigserial primary key,
  name text not null,
  at timestamptz not null default now()
);
