/* The reader of heap files and everything that can be asked of what it read, against hostile
 * bytes.  hostile.h says what the input is.
 *
 * A file that is read must then be consistent: edges both ways agree, every search stays
 * inside, and writing and reading it again gives the same bytes. */
#include "hostile.h"

#include "file/heap_file.h"
#include "heap/growth.h"
#include "heap/merged_paths.h"
#include "heap/paths.h"
#include "heap/search.h"

#define FEW 16                  /* nodes that are asked about one by one */

static void
check_text(const struct writer *texts, graph_text text)
{
    check(text < texts->length && memchr(texts->data + text, 0, texts->length - text) != NULL,
          "a text ends within its pool");
}

static void
check_columns(const struct graph *graph)
{
    uint64_t objects = 0, bytes = 0, edges = 0;
    for (uint32_t i = 0; i < graph->type_count; i++) {
        const struct graph_type *type = &graph->types[i];
        check_text(&graph->texts, type->module);
        check_text(&graph->texts, type->qualname);
        check_text(&graph->texts, type->name);
        objects += type->count;
        bytes += type->bytes;
    }
    check(objects == graph->count - graph->holder_count, "classes have all objects");
    check(bytes <= INT64_MAX, "sums do not wrap around");
    for (uint32_t i = 0; i < graph->holder_count; i++) {
        const struct graph_holder *holder = &graph->holders[i];
        check(graph->holders[holder->thread].kind == GRAPH_THREAD, "a holder has a thread");
        check_text(&graph->texts, holder->name);
        check_text(&graph->texts, holder->filename);
    }
    for (uint32_t edge = 0; edge < graph->out_start[graph->holder_count]; edge++) {
        check_text(&graph->texts, graph->local_names[edge]);
    }
    for (uint32_t node = 0; node < graph->count; node++) {
        check(graph->in_start[node] <= graph->in_start[node + 1], "starts ascend");
        for (uint32_t edge = graph->in_start[node]; edge < graph->in_start[node + 1]; edge++) {
            check(graph->in[edge] < graph->count, "edges lead to nodes");
            edges++;
        }
    }
    check(edges == graph->edge_count, "as many edges both ways");
}

static int
count_label(struct label label, void *arg)
{
    (void)label;
    return ++*(int *)arg >= 100;
}

static void
check_labels(const struct graph *graph, const struct labels *labels)
{
    for (uint32_t node = graph->holder_count; node < graph->count; node++) {
        uint32_t end = graph->out_start[node + 1];
        for (uint32_t edge = graph->out_start[node];
             edge < end && edge < graph->out_start[node] + FEW; edge++) {
            int count = 0;
            labels_visit(labels, graph, node, graph->out[edge], count_label, &count);
        }
        graph_text text = label_texts_find(&labels->told, node);
        if (text != LABELS_NO_TEXT) {
            check_text(&labels->texts, text);
        }
        text = label_texts_find(&labels->keys, node);
        if (text != LABELS_NO_TEXT) {
            check_text(&labels->texts, text);
        }
    }
    for (uint32_t i = 0; i < labels->name_count; i++) {
        check_text(&labels->texts, labels->names[i].kind);
        if (labels->names[i].text != LABELS_NO_TEXT) {
            check_text(&labels->texts, labels->names[i].text);
        }
    }
}

static void
check_sites(const struct graph *graph, const struct sites *sites)
{
    for (uint32_t node = 0; node < graph->count; node++) {
        check(sites->of_node[node] <= sites->count, "a site exists");
    }
    for (uint32_t i = 0; i < sites->count; i++) {
        check_text(&sites->texts, sites->sites[i].filename);
        check_text(&sites->texts, sites->sites[i].function);
    }
}

static void
check_searches(const struct graph *graph)
{
    uint32_t few = graph->count < FEW ? graph->count : FEW;
    uint32_t nodes[FEW];
    for (uint32_t i = 0; i < few; i++) {
        nodes[i] = graph->count - 1 - i;
        struct paths paths = {0};
        struct paths_query query = {graph, &nodes[i], 1, NULL, 0, 1 + i % 3};
        if (paths_find(&query, &paths) == 0 && paths.count > 0) {
            check(paths.nodes.nodes[paths.end[0] - 1] == nodes[i], "a path ends at its target");
        }
        paths_release(&paths);
    }
    struct merged_paths merged = {0};
    if (merged_paths_find(graph, nodes, few, NULL, 0, 5, &merged) == 0) {
        check(merged.held + merged.garbage == few, "every target is held or not");
    }
    merged_paths_release(&merged);
    struct search_total total;
    if (search_reachable(graph, nodes, few, NULL, 0, &total) == 0) {
        check(total.objects <= graph->count, "no more than there is");
    }
}

static void
check_growth(const struct graph *graph)
{
    struct growths grown;
    if (graph->count < 1000) {      /* each address may take a region of its own */
        growth_find(graph, graph, 5, &grown);
        growth_release(&grown);
    }
}

static void
check_again(const struct heap_file *file)
{
    static const struct dump_origin origin = {"fuzz", "", ""};
    struct writer first = {0}, second = {0};
    struct chunks_error error;
    struct heap_file copy;
    if (heap_file_write(file, &origin, &first) == 0) {
        enum dump_status status = heap_file_read(first.data, first.length, &copy, &error);
        check(status != DUMP_INVALID, "what is written can be read");
        if (status == DUMP_OK) {
            if (heap_file_write(&copy, &origin, &second) == 0) {
                check(first.length == second.length, "the same bytes again, as many");
                check(memcmp(first.data, second.data, first.length) == 0, "the same bytes again");
            }
            heap_file_release(&copy);
        }
    }
    writer_release(&first);
    writer_release(&second);
}

static void
read_input(const uint8_t *data, size_t size)
{
    struct heap_file file;
    struct chunks_error error = {""};
    enum dump_status status = heap_file_read(data, size, &file, &error);
    if (status == DUMP_INVALID) {
        check(error.message[0] != '\0', "a refusal has words");
    }
    if (status != DUMP_OK) {
        check(file.graph == NULL && file.labels == NULL && file.sites == NULL, "nothing is left");
        return;
    }
    check_columns(file.graph);
    if (file.labels != NULL) {
        check_labels(file.graph, file.labels);
    }
    if (file.sites != NULL) {
        check_sites(file.graph, file.sites);
    }
    check_searches(file.graph);
    check_growth(file.graph);
    check_again(&file);
    heap_file_release(&file);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return feed(data, size, read_input);
}

#ifdef STANDALONE

/* tests/file/test_heap_file.py writes the seed: see there. */
int
main(int argc, char **argv)
{
    return run_files(argc, argv);
}

#endif
