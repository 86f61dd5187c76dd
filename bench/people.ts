/**
 * People as an installation has them, as many as one likes: few first and last names are very common and many are rare, most have an
 * address, a few domains have most of the addresses, everyone is in a group and a tenth in one large group. The first ones are the same
 * whatever the number, so that two sizes can be asked for the same person.
 */
import pg from 'pg'
import { searchText } from '#/identity/search_text.ts'

const first =
  `Anna Peter Maria Thomas Laura Michael Sophie Daniel Julia Andreas Emma Christian Lena Stefan Sarah Martin Lisa Markus Katharina Alexander
James Mary Robert Patricia John Jennifer David Linda William Elizabeth Richard Barbara Joseph Susan Charles Jessica Karen Christopher Nancy Matthew Betty
Zoë José Łukasz Agnieszka Małgorzata François Hélène Jürgen Günther Björn Åsa Søren Nuño Iñés Дмитрий Мария Ольга Иван Σοφία Γιώργος 太郎 花子 伟 芳
Mohammed Fatima Ali Aisha Omar Layla Hassan Nour Priya Rahul Ananya Arjun Chen Wei Mei Ling Hiroshi Yuki Kenji Sakura`.split(/\s+/)
const last =
  `Smith Müller Johnson Schmidt Williams Schneider Brown Fischer Jones Weber Garcia Meyer Miller Wagner Davis Becker Rodriguez Schulz Martinez Hoffmann
Hernandez Koch Lopez Bauer Gonzalez Richter Wilson Klein Anderson Wolf Thomas Schröder Taylor Neumann Moore Schwarz Jackson Zimmermann Martin Braun Lee
Krüger Perez Hofmann Thompson Hartmann White Lange Harris Schmitt Sanchez Werner Clark Krause Ramirez Meier Lewis Lehmann Robinson Nowak Kowalski Wiśniewski
Иванова Петров Παπαδόπουλος 山田 佐藤 王 李 O'Brien Müller-Łukasz García-Márquez`.split(/\s+/)
const begins =
  'Ber Kal Dom Fer Gris Hal Jan Kor Lin Mar Nor Os Pel Quin Ros Sal Tor Ul Var Wen Xan Yor Zel Brad Cast Den Eck Frie Gold Hol'.split(' ')
const middles = 'a e i o u an en in on un ar er ir or ur el il ol ul am em im om um ak ek ik ok uk'.split(' ')
const ends = 'berg mann ski sen son stein feld dorf ley ton well ford ham wick by ov ev ić ez os is ini elli etti eau ier ard ault'.split(
  ' ',
)

/** One of those that most people have. */
export const commonName = (i: number): string => `${first[i % 10]} ${last[(i * 7) % 10]}`

/** The named ones first, then as many made ones as are wanted, each another. */
const names = (known: string[], count: number): string[] => {
  const all = new Set(known)
  for (const middle of middles) for (const end of ends) for (const begin of begins) if (all.size < count) all.add(begin + middle + end)
  return [...all].slice(0, count)
}

interface Names {
  table: string
  shown: string[]
}

const create = async (client: pg.Client, { table, shown }: Names) => {
  await client.query(`create temp table ${table} (rank integer primary key, shown text, folded text, written text)`)
  const folded = shown.map((name) => searchText(name))
  // What of a name goes into a username.
  const written = folded.map((name) => name.replace(/[^a-z0-9]/g, ''))
  await client.query(
    `insert into ${table} select n - 1, s, f, w from unnest($1::text[], $2::text[], $3::text[]) with ordinality as t (s, f, w, n)`,
    [shown, folded, written],
  )
  await client.query(`analyze ${table}`)
}

/** A number from 0 to 1 out of person `i`, another for each seed. */
const random = (seed: number) => `((hashint8extended(i, ${seed}) & 2147483647) / 2147483648.0::float8)`

/** Rank in a list of `count`: the chance falls with the rank, as that of names does; the first of them has some hundredths. */
const rank = (seed: number, count: number, flat: number) =>
  `floor(${flat} * (power(${count} / ${flat}::float8 + 1, ${random(seed)}) - 1))::int`

const firstCount = 1_500
const lastCount = 20_000
const batch = 500_000
/** A UUID of version 7 for thing `i` of a kind: made twenty a millisecond, the rest is drawn. */
const idOf = (seed: number) =>
  `('0' || to_hex(1700000000000 + i / 20) || '7000' || to_hex((hashint8extended(i, ${seed}) & 4611686018427387903) | (-9223372036854775807 - 1)))::uuid`
const userId = idOf(101)
const groupId = idOf(102)

/** Each group has a hundredth of a per mille of the people on average, beside the large one, which is the first. */
export const groupsOf = (people: number): number => Math.max(20, Math.round(people / 100))

const insertUsers = `
  insert into users (user_id, namespace, resource_name, username, username_key, email, email_key, email_verified, name, attributes, search_text,
                     created_at, updated_at)
  select ${userId}, 'default', username, username, username, email, email, email is not null, shown,
         jsonb_build_object('employeeNumber', 'E' || i, 'department', 'D' || i % 40, 'city', (array['Berlin', 'Paris', 'Oslo', 'Lima'])[i % 4 + 1]),
         concat_ws(E'\\n', username, email, folded), made, made
    from (select i, made, username, shown, folded, case when ${random(4)} < 0.9 then username || '@' || domain end as email
            from (select i, to_timestamp(1700000000 + i / 20000.0) as made,
                         case when ${random(3)} < 0.7 then f.written || '.' || l.written || i
                              when ${random(3)} < 0.9 then left(f.written, 1) || l.written || i
                              else 'e' || lpad(i::text, 8, '0') end as username,
                         f.shown || ' ' || l.shown as shown, f.folded || ' ' || l.folded as folded,
                         case when d.rank < 3 then (array['mail.example', 'post.example', 'corp.example'])[d.rank + 1]
                              else d.written || '-' || d.rank || '.example' end as domain
                    from (select i, ${rank(1, firstCount, 15)} as f, ${rank(2, lastCount, 10)} as l, ${rank(5, lastCount, 1)} as d
                            from generate_series($1::bigint, $2::bigint) as i) as drawn
                    join first_names f on f.rank = drawn.f
                    join last_names l on l.rank = drawn.l
                    join last_names d on d.rank = drawn.d) as named) as people`

const insertGroups = `
  insert into groups (group_id, namespace, resource_name, name, name_key, search_text, created_at, updated_at)
  select ${groupId}, 'default', lower(name), name, lower(name), lower(name), now(), now()
    from (select i, case when i = 0 then 'Everyone' else (array['Sales', 'Engineering', 'Support', 'Research', 'Finance'])[i % 5 + 1] || ' '
                         || (array['North', 'South', 'East', 'West'])[i % 4 + 1] || ' ' || i end as name
            from generate_series(0, $1::bigint - 1) as i) as named`

/** Every fifth group is in one of the first hundred, and these are in one of the first ten. */
const nestGroups = `
  insert into group_parents (group_id, parent_id)
  select ${groupId}, (select ${groupId} from (select 1 + child.i % case when child.i < 100 then 9 else 99 end as i) as parent)
    from (select i from generate_series(10, $1::bigint - 1) as i where i % 5 = 0 or i < 100) as child (i)
   where i > 9
  on conflict do nothing`

const insertMembers = `
  insert into group_members (group_id, user_id)
  select (select ${groupId} from (select person.own as i) as g), (select ${userId} from (select person.i) as u)
    from (select i, 1 + floor(${random(7)} * ($3::bigint - 1))::bigint as own
            from generate_series($1::bigint, $2::bigint) as i) as person
  union all
  select (select ${groupId} from (select 0::bigint as i) as g), (select ${userId} from (select person.i) as u)
    from (select i from generate_series($1::bigint, $2::bigint) as i where i % 10 = 0) as person`

/** Foreign keys before the indexes that they are checked with; made in the other order. */
const leftForLater = `
  select format('alter table group_members drop constraint %I', conname) as drop,
         format('alter table group_members add constraint %I %s', conname, pg_get_constraintdef(oid)) as make,
         1 as place
    from pg_constraint
   where conrelid = 'group_members'::regclass
     and contype = 'f'
   union all
  select case when c.oid is null then format('drop index %s', i.indexrelid::regclass)
              else format('alter table %s drop constraint %I', i.indrelid::regclass, c.conname) end,
         case when c.oid is null then pg_get_indexdef(i.indexrelid)
              else format('alter table %s add constraint %I %s', i.indrelid::regclass, c.conname, pg_get_constraintdef(c.oid)) end,
         2
    from pg_index i
    left join pg_constraint c on c.conindid = i.indexrelid and c.contype in ('p', 'u')
   where i.indrelid in ('users'::regclass, 'group_members'::regclass)
     and i.indexrelid <> 'users_pkey'::regclass
   order by place`

/** Fills an empty, migrated database. Indexes are made anew afterwards, which is much faster than keeping them. */
export const fillPeople = async (url: string, people: number, say: (line: string) => void = () => {}): Promise<void> => {
  const client = new pg.Client({ connectionString: url, application_name: 'signet bench' })
  await client.connect()
  try {
    await client.query(`set work_mem = '256MB'; set maintenance_work_mem = '1GB'; set synchronous_commit = off`)
    await create(client, { table: 'first_names', shown: names(first, firstCount) })
    await create(client, { table: 'last_names', shown: names(last, lastCount) })
    const { rows: left } = await client.query<{ drop: string; make: string }>(leftForLater)
    await client.query('alter table users set (autovacuum_enabled = off); alter table group_members set (autovacuum_enabled = off)')
    for (const { drop } of left) await client.query(drop)
    const groups = groupsOf(people)
    await client.query(insertGroups, [groups])
    await client.query(nestGroups, [groups])
    for (let from = 1; from <= people; from += batch) {
      const to = Math.min(people, from + batch - 1)
      await client.query(insertUsers, [from, to])
      await client.query(insertMembers, [from, to, groups])
      say(`${to} people`)
    }
    for (const { make } of left.toReversed()) {
      say(make)
      await client.query(make)
    }
    await client.query('alter table users reset (autovacuum_enabled); alter table group_members reset (autovacuum_enabled)')
    say('vacuum')
    await client.query('vacuum analyze users')
    await client.query('vacuum analyze groups')
    await client.query('vacuum analyze group_members')
    await client.query('vacuum analyze group_parents')
  } finally {
    await client.end()
  }
}
