-- What the PostgREST contract tests call: one function for each shape, cast and complaint.
create type mood as enum ('calm', 'keen');
create table things (id int primary key, name text, mood mood, made_at timestamptz, weight numeric);
insert into things values
    (1, 'rope', 'calm', '2026-01-02 03:04:05.678901+00', 1.10),
    (2, 'ball', 'keen', '2026-01-02 03:04:05.6+02', null);

create function add_one(x int) returns int language sql as 'select x + 1';
create function greet(name text, greeting text default 'hello') returns text language sql as
    'select greeting || '' '' || name';
create function nothing() returns void language sql as '';
create function numbers(n int) returns setof int language sql as 'select generate_series(1, n)';
create function all_things() returns setof things language sql as 'select * from things order by id';
create function thing(i int) returns things language sql as 'select * from things where id = i';
create function thing_table(i int) returns table (id int) language sql as 'select id from things where id = i';
create function one_out(out total int) language sql as 'select count(*)::int from things';
create function echo(j jsonb) returns jsonb language sql as 'select j';
create function echo_json(j json) returns json language sql as 'select j';
create function echo_big(x bigint) returns bigint language sql as 'select x';
create function echo_time(t timestamptz) returns timestamptz language sql as 'select t';
create function echo_uuid(u uuid) returns uuid language sql as 'select u';
create function echo_bytes(b bytea) returns bytea language sql as 'select b';
create function echo_mood(m mood) returns mood language sql as 'select m';
create function echo_array(a text[]) returns text[] language sql as 'select a';
create function overloaded(x int) returns int language sql as 'select 1';
create function overloaded(x text) returns int language sql as 'select 2';
create function overloaded(y text, z int default 0) returns int language sql as 'select 3';

create function complain(code text, message text default 'no', detail text default 'since', hint text default 'try')
returns int language plpgsql as $$
begin
    raise exception using errcode = code, message = message, detail = detail, hint = hint;
end $$;
create function answer_with(status text, headers text) returns int language sql as $$
    select set_config('response.status', status, true), set_config('response.headers', headers, true);
    select 1
$$;
create function setting(name text) returns text language sql as 'select current_setting(name, true)';
create function stable_setting(name text) returns text language sql stable as
    'select current_setting(name, true)';
create function keep(i int) returns void language sql as 'insert into things (id) values (i)';
create function keep_two() returns setof int language sql as
    'insert into things (id) values (90), (91) returning id';
create function count_of(i int) returns bigint language sql as 'select count(*) from things where id = i';
create function too_slow() returns void language sql set statement_timeout = '20ms' as 'select pg_sleep(5)';
create function for_services() returns int language sql as 'select 1';
revoke execute on function for_services() from public, anon, authenticated;
create function wait_for_a_crash() returns void language sql as 'select pg_sleep(5)';
