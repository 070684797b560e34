/* The dump reader and everything that can be asked of what it read, against
 * hostile bytes.
 *
 * hostile.h says what the input is.
 *
 * A file that is read must then be consistent: written and read again it is the
 * same table, and sums agree whichever way they are made.
 *
 * tools/fuzz.sh builds it with libFuzzer, ASan and UBSan.  With -DSTANDALONE it
 * runs over the files named on its command line instead; with none, it writes a
 * seed to stdout. */
#include "hostile.h"

#include "file/dump.h"
#include "trace/filter.h"
#include "trace/groups.h"

static void
check_groups(const struct snapshot *snapshot, const struct groups_side *side)
{
    static const enum groups_key keys[] = {GROUPS_LINENO, GROUPS_FILENAME, GROUPS_TRACEBACK,
                                           GROUPS_FUNCTION, GROUPS_LABEL};
    for (size_t mode = 0; mode < 4 * sizeof(keys) / sizeof(*keys); mode++) {
        struct groups_options options = {keys[mode / 4], mode & 1, mode & 2};
        struct group *groups;
        size_t count;
        if (options.key == GROUPS_TRACEBACK && options.cumulative) {
            continue;
        }
        if (groups_build(options, side, mode & 1 ? side : NULL, &groups, &count) < 0) {
            check(groups == NULL && count == 0, "no groups without memory");
            continue;
        }
        uint64_t size = 0, rows = 0;
        for (size_t i = 0; i < count; i++) {
            size += groups[i].size;
            rows += groups[i].count;
            check(groups[i].count > 0 && groups[i].count <= INT64_MAX, "a group has rows");
            check(groups[i].size <= INT64_MAX, "sums do not wrap around");
            check(mode & 1 || i == 0 || groups[i].size <= groups[i - 1].size, "descending");
            check(!(mode & 1) || groups[i].size == groups[i].old_size, "nothing changed");
            check(!groups[i].is_old, "both have all groups");
        }
        if (!options.cumulative) {
            check(size == snapshot_total_size(snapshot), "groups have all bytes");
            check(rows == snapshot->count, "groups have all rows");
        }
        mem_free(groups);
    }
}

static void
check_filter(const struct snapshot *snapshot, const struct summary *summary, const uint8_t *files)
{
    struct filter filters[] = {
        {files, FILTER_ANY, FILTER_ANY, true, true},
        {files, 1, 0, false, false},
        {NULL, FILTER_ANY, 389047, true, false},
    };
    struct filter_range all = {0, UINT64_MAX, 0, UINT64_MAX};
    struct filter_range large = {UINT32_MAX, UINT64_MAX, 1, 5};
    for (size_t count = 0; count <= 3; count++) {
        struct snapshot *kept = filter_apply(snapshot, summary, filters, count, &all);
        check(kept == NULL || count != 0 || kept->count == snapshot->count, "no filter keeps all");
        snapshot_free(kept);
    }
    struct snapshot *kept = filter_apply(snapshot, summary, NULL, 0, &large);
    check(kept == NULL || kept->large_count == kept->count, "large ones only");
    snapshot_free(kept);
}

static void
check_again(const struct snapshot *snapshot, const struct summary *summary)
{
    static const struct dump_origin origin = {"fuzz", "", ""};
    struct writer first = {0}, second = {0};
    struct chunks_error error;
    struct snapshot *copy = NULL;
    struct summary *copy_summary = NULL;
    if (dump_write(snapshot, summary, &origin, &first) < 0) {
        goto done;
    }
    enum dump_status status = dump_read(first.data, first.length, &copy, &error);
    check(status != DUMP_INVALID, "what is written can be read");
    if (status != DUMP_OK) {
        goto done;
    }
    check(copy->count == snapshot->count, "same rows");
    for (size_t i = 0; i < copy->count; i++) {
        check(copy->address[i] == snapshot->address[i], "same addresses");
        check(copy->domain[i] == snapshot->domain[i], "same domains");
        check(snapshot_size(copy, i) == snapshot_size(snapshot, i), "same sizes");
        check(copy->epochs[copy->epoch[i]] == snapshot->epochs[snapshot->epoch[i]], "same epochs");
    }
    copy_summary = summary_new(copy);
    if (copy_summary != NULL && dump_write(copy, copy_summary, &origin, &second) == 0) {
        check(first.length == second.length, "the same bytes again, as many");
        check(memcmp(first.data, second.data, first.length) == 0, "the same bytes again");
    }
done:
    writer_release(&first);
    writer_release(&second);
    summary_free(copy_summary);
    snapshot_free(copy);
}

static void
check_snapshot(const struct snapshot *snapshot)
{
    struct summary *summary = summary_new(snapshot);
    if (summary == NULL) {
        return;
    }
    uint32_t *labels = mem_calloc(summary->file_count, sizeof(*labels));
    uint8_t *files = mem_calloc(summary->file_count, 1);
    if (labels != NULL && files != NULL) {
        for (uint32_t i = 0; i < summary->file_count; i++) {
            labels[i] = i / 2;
            files[i] = i & 1;
        }
        struct groups_side side = {summary, labels};
        check_groups(snapshot, &side);
        check_filter(snapshot, summary, files);
    }
    check_again(snapshot, summary);
    mem_free(labels);
    mem_free(files);
    summary_free(summary);
}

static void
read_input(const uint8_t *data, size_t size)
{
    struct snapshot *snapshot = NULL;
    struct chunks_error error = {""};
    enum dump_status status = dump_read(data, size, &snapshot, &error);
    if (status == DUMP_OK) {
        check_snapshot(snapshot);
        snapshot_free(snapshot);
    }
    else if (status == DUMP_INVALID) {
        check(error.message[0] != '\0', "a refusal has words");
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return feed(data, size, read_input);
}

#ifdef STANDALONE

/* A table with something of everything. */
static void
write_seed(void)
{
    struct tracebacks *tree = tracebacks_new();
    struct snapshot *snapshot = tree != NULL ? snapshot_new(tree, 64) : NULL;
    check(snapshot != NULL, "memory");
    static const uint16_t wide[] = {0x431, 0xdc80};
    uint32_t name = tracebacks_intern_text(tree, (struct text){"module.py", 9, 1});
    uint32_t other = tracebacks_intern_text(tree, (struct text){wide, 2, 2});
    uint32_t one = tracebacks_intern_function(tree, (struct function){name, TEXT_EMPTY});
    uint32_t two = tracebacks_intern_function(tree, (struct function){other, name});
    uint32_t node = tracebacks_intern_node(tree, (struct traceback_node){0, one, 7});
    for (uint32_t i = 0; i < 40; i++) {
        struct traceback_node next = {node, i % 3 != 0 ? two : one, i % 4};
        uint32_t deeper = tracebacks_intern_node(tree, next);
        node = i % 5 != 0 ? deeper : node;
        struct snapshot_row row = {deeper, i % 9 == 0 ? (uint64_t)i << 32 : i, 4096 + i * 16,
                                   (uint8_t)(i % 3), (uint8_t)(i % 5)};
        if (i % 7 == 0) {
            next = (struct traceback_node){deeper, TRACEBACK_TOTAL, 99};
            row.traceback = tracebacks_intern_node(tree, next);
        }
        if (i % 11 == 0) {
            row.traceback = TRACEBACK_UNKNOWN;
        }
        check(snapshot_append(snapshot, &row) == 0, "memory");
    }
    snapshot->tracked_domains[0] = 389047;
    snapshot->tracked_domains[1] = 1;
    snapshot->tracked_count = 2;
    snapshot->epochs[1] = 1;
    snapshot->epochs[2] = 300;
    struct dump_origin origin = {"memscope", "3.11", "linux"};
    struct writer out = {0};
    struct summary *summary = summary_new(snapshot);
    check(summary != NULL && dump_write(snapshot, summary, &origin, &out) == 0, "memory");
    writer_u8(&out, 255);
    writer_u8(&out, 1);
    fwrite(out.data, 1, out.length, stdout);
    writer_release(&out);
    summary_free(summary);
    snapshot_free(snapshot);
    tracebacks_unref(tree);
}

int
main(int argc, char **argv)
{
    if (argc == 1) {
        write_seed();
    }
    return run_files(argc, argv);
}

#endif
