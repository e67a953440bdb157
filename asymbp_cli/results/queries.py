"""What the store asks its database, and what it tells it of trainings, in SQL.

Lists of ids are given as JSON, since SQLite takes no lists.
"""

from asymbp_cli.results.summaries import ATTEMPT_COLUMNS, EPOCH_COLUMNS

#: of `EpochEnded.criterion`: the error, then the loss, which is infinite (9e999) if it is not known
_CRITERION = (
    "coalesce(1.0 * validation_wrong / validation_seen, 1.0 * test_wrong / test_seen), "
    "coalesce(validation_loss, 9e999)"
)
_MOST_EPOCHS = 1 << 24
_OF_RUNS = "WHERE run IN (SELECT value FROM json_each(:runs))"

#: a run, if it is new
BEGIN_RUN = "INSERT OR IGNORE INTO runs VALUES (?, ?, ?, NULL, ?, ?)"

#: an attempt at a run
BEGIN_ATTEMPT = """INSERT OR REPLACE INTO attempts (run, started, start_epoch, host, device, software, git,
    instruction_set) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""

#: the rest of `BEGIN_ATTEMPT`, once a worker has said where it is: only then it trains
FIND_WORKER = """UPDATE attempts SET started = max(started, ?), host = ?, device = ?, software = ?, git = ?,
    instruction_set = ? WHERE run = ? AND ended IS NULL"""

#: the end of the attempt that lasts
END_ATTEMPT = """UPDATE attempts SET ended = ?, outcome = ?, message = ?, traceback = ?
    WHERE run = ? AND ended IS NULL"""

#: the end of all that last, with the last event of their runs
CLOSE_ATTEMPTS = """UPDATE attempts SET outcome = 'interrupted',
    ended = max(started, (SELECT updated FROM runs WHERE id = run)) WHERE ended IS NULL"""

#: a row of `EPOCH_COLUMNS`
KEEP_EPOCH = f"""INSERT OR REPLACE INTO epochs ({", ".join(EPOCH_COLUMNS)})
    VALUES ({", ".join("?" * len(EPOCH_COLUMNS))})"""

#: (run, state) of runs that have ended
STATES = "SELECT id, state FROM runs WHERE state IS NOT NULL"

#: the rows of `EPOCH_COLUMNS` of every run in :runs
EPOCHS = f"SELECT {', '.join(EPOCH_COLUMNS)} FROM epochs {_OF_RUNS} ORDER BY run, epoch"

#: of every run in :runs with epochs: their number, the last one, and the one that the rule selects (lowest
#: criterion, earliest epoch). Without held-out data that is the fewest wrong answers: no rows need sorting
_PICKED = f"""
    counted AS (
        SELECT run, count(*) AS stored, max(epoch) AS last, count(validation_wrong) AS validated,
            min(test_wrong * {_MOST_EPOCHS} + epoch) % {_MOST_EPOCHS} AS best
        FROM epochs {_OF_RUNS} GROUP BY run),
    picked AS (
        SELECT run, stored, last, best FROM counted WHERE NOT validated
        UNION ALL
        SELECT run, stored, last, epoch FROM (
            SELECT run, stored, last, epoch,
                row_number() OVER (PARTITION BY run ORDER BY {_CRITERION}, epoch) AS place
            FROM counted JOIN epochs USING (run) WHERE validated)
        WHERE place = 1)"""

#: the rows of `EPOCH_COLUMNS` that tables show of every run in :runs, in order: the one that the rule selects, and
#: the last one
SELECTED = f"""
    WITH {_PICKED}
    SELECT {", ".join(EPOCH_COLUMNS)} FROM picked JOIN epochs USING (run)
    WHERE epoch IN (best, last) ORDER BY run, epoch"""

#: (seconds) from the begin of each stack to when its worker had a device of the kind :kind, if the worker was new:
#: one that is there takes no second. Of first attempts, as runs are as old as those. On a cluster they waited, too
STARTS = """
    SELECT started - created FROM attempts JOIN runs ON id = run
    WHERE (device = :kind OR device LIKE :kind || ' %' OR device LIKE :kind || ':%') AND started - created > 1
        AND started = (SELECT min(started) FROM attempts AS own WHERE own.run = attempts.run)
    GROUP BY host, device, started"""

#: (run, number of epochs, seconds, samples trained on) of every run in :runs that has epochs
SPENT = f"SELECT run, count(*), sum(seconds), sum(train_seen) FROM epochs {_OF_RUNS} GROUP BY run"

#: (run, last epoch, number of epochs) of every run in :runs that has epochs
LAST_EPOCHS = f"SELECT run, max(epoch), count(*) FROM epochs {_OF_RUNS} GROUP BY run"

#: the rows of `ATTEMPT_COLUMNS` of every run in :runs
ATTEMPTS = f"SELECT {', '.join(ATTEMPT_COLUMNS)} FROM attempts {_OF_RUNS} ORDER BY started, run"

#: (run, epochs stored, first, last, wanted, state, the run and its dataset or NULL if they are missing, whether a
#: count cannot be, whether one is not the dataset's) of every id in :runs, for `check_history`. A frozen run
#: trains on nothing, and one that drops its last mini-batch on fewer. Texts that are no JSON have no numbers. Runs
#: whose checksum is as old as their rows are left out: the rows are as they were written
HISTORIES = """
    WITH suspects AS (
        SELECT value FROM json_each(:runs)
        WHERE value IN (SELECT id FROM checksums WHERE kind = 'runs' AND late)),
    counted AS (
        SELECT run, count(*) AS stored, min(epoch) AS first, max(epoch) AS last,
            max(NOT (train_wrong BETWEEN 0 AND train_seen AND test_wrong BETWEEN 0 AND test_seen
                AND (validation_wrong IS NULL) = (validation_seen IS NULL)
                AND coalesce(validation_wrong BETWEEN 0 AND validation_seen, 1))) AS impossible,
            min(test_seen) AS least_tested, max(test_seen) AS most_tested,
            min(CASE WHEN train_seen <> 0 THEN train_seen + coalesce(validation_seen, 0) END) AS least_trained,
            max(CASE WHEN train_seen <> 0 THEN train_seen + coalesce(validation_seen, 0) END) AS most_trained
        FROM epochs WHERE run IN (SELECT value FROM suspects) GROUP BY run),
    facts AS (
        SELECT id, fingerprint, state,
            CASE WHEN json_valid(spec) THEN json_extract(spec, '$.protocol.epochs') END AS wanted,
            CASE WHEN json_valid(spec) THEN json_extract(spec, '$.protocol.last_batch') END = 'drop' AS drops,
            CASE WHEN json_valid(info) THEN json_extract(info, '$.train_count') END AS train_count,
            CASE WHEN json_valid(info) THEN json_extract(info, '$.test_count') END AS test_count
        FROM runs LEFT JOIN datasets ON fingerprint = dataset)
    SELECT ids.value, coalesce(stored, 0), first, last, wanted, state, facts.id, fingerprint, impossible,
        least_tested <> test_count OR most_tested <> test_count
            OR coalesce((least_trained <> train_count AND NOT drops) OR most_trained > train_count, 0)
    FROM suspects AS ids LEFT JOIN facts ON facts.id = ids.value LEFT JOIN counted ON run = ids.value"""

#: (run, device, outcome, seconds, runs) of every attempt that a worker has begun: of its stack, whose runs began
#: together, from the start to the end of the last one. One that lasts has its run's last event for an end. A clock
#: may have gone back since
EFFORTS = """
    WITH timed AS (
        SELECT run, host, device, outcome, started, coalesce(ended, max(started, updated), started) AS ended
        FROM attempts LEFT JOIN runs ON id = run WHERE host <> '')
    SELECT run, device, outcome, max(max(ended) OVER stack - started, 0), count(*) OVER stack FROM timed
    WINDOW stack AS (PARTITION BY started, host, device)"""

#: (run, message) of runs whose last attempt failed
FAILURES = """
    SELECT run, message FROM attempts JOIN runs ON runs.id = run
    WHERE runs.state IS NULL AND outcome = 'failed'
        AND started = (SELECT max(started) FROM attempts AS later WHERE later.run = attempts.run)"""

#: (id) of every run whose id starts with :prefix
RUNS = "SELECT id FROM runs WHERE substr(id, 1, length(:prefix)) = :prefix"

#: one row for each run in :runs, the latest first, for `make_summary`
SUMMARIES = f"""
    WITH {_PICKED}
    SELECT runs.id, runs.spec, runs.state, runs.updated,
        (SELECT outcome FROM attempts WHERE run = runs.id ORDER BY started DESC LIMIT 1),
        picked.stored, test_wrong, test_seen, epoch,
        runs.id IN (SELECT id FROM checksums WHERE kind = 'runs' AND late)
    FROM runs LEFT JOIN picked ON picked.run = runs.id
        LEFT JOIN epochs ON epochs.run = runs.id AND epoch = best
    WHERE runs.id IN (SELECT value FROM json_each(:runs))
    ORDER BY runs.updated DESC, runs.id"""
