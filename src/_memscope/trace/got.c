#ifdef __linux__
#  define _GNU_SOURCE 1     /* dl_iterate_phdr */
#endif

#include "trace/got.h"

#if GOT_SUPPORTED

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

/* A shared object never holds the address of an imported function in its code.
 * It calls through a table of pointers that the dynamic loader fills in:
 *
 *     object                                          another object
 *     .text   call track@plt
 *     .plt    track@plt: jump *entry --.
 *     .got    entry: [ address ] <-----'-------------> track:
 *                       ^
 *     .rela.plt  { r_offset = entry, type JUMP_SLOT, symbol "track" }
 *
 * and the relocations tell which entry is whose.  JUMP_SLOT entries serve calls
 * and may be bound lazily: until the first call they hold the address of the
 * object's own resolver stub.  GLOB_DAT entries serve code that takes the
 * address, and all calls of an object built with -fno-plt.  A third kind, here
 * called ABSOLUTE, is a pointer in the object's data that is initialised with
 * the address: no part of the table, but filled in the same way and with the
 * same meaning.
 *
 * Read-only after relocation (RELRO): the pages wholly inside PT_GNU_RELRO have
 * been made read-only by the loader, all others have the access of their
 * PT_LOAD segment.  An object that is still being relocated shows the same
 * headers and not yet the same protection; taking write access away from it
 * would crash the loader, so callers first make sure that the loader is done.
 *
 * Format: System V ABI, chapter 5, and the processor supplements; the
 * meaning of d_ptr in memory differs between C libraries, see table_at. */

#if defined(__x86_64__)
enum { JUMP_SLOT = R_X86_64_JUMP_SLOT, GLOB_DAT = R_X86_64_GLOB_DAT, ABSOLUTE = R_X86_64_64 };
#elif defined(__i386__)
enum { JUMP_SLOT = R_386_JMP_SLOT, GLOB_DAT = R_386_GLOB_DAT, ABSOLUTE = R_386_32 };
#elif defined(__aarch64__)
enum {
    JUMP_SLOT = R_AARCH64_JUMP_SLOT,
    GLOB_DAT = R_AARCH64_GLOB_DAT,
    ABSOLUTE = R_AARCH64_ABS64,
};
#elif defined(__arm__)
enum { JUMP_SLOT = R_ARM_JUMP_SLOT, GLOB_DAT = R_ARM_GLOB_DAT, ABSOLUTE = R_ARM_ABS32 };
#endif

#if UINTPTR_MAX > UINT32_MAX
#  define RELOCATION_TYPE(info) ELF64_R_TYPE(info)
#  define RELOCATION_SYMBOL(info) ELF64_R_SYM(info)
#else
#  define RELOCATION_TYPE(info) ELF32_R_TYPE(info)
#  define RELOCATION_SYMBOL(info) ELF32_R_SYM(info)
#endif

typedef ElfW(Phdr) elf_segment;
typedef ElfW(Dyn) elf_dynamic;
typedef ElfW(Sxword) elf_tag;
typedef ElfW(Addr) elf_address;
typedef ElfW(Sym) elf_symbol;
typedef ElfW(Rel) elf_rel;
typedef ElfW(Rela) elf_rela;

/* A part of the object's memory; `start` is 0 where there is no such part. */
struct table {
    uintptr_t start;
    size_t size;
};

/* The tables that PT_DYNAMIC points at, each checked to lie in the object. */
struct dynamic {
    struct table symbols;
    struct table strings;
    struct table relocations[3];    /* DT_JMPREL, DT_RELA, DT_REL */
    size_t strides[3];
};

/* From `address` to the end of the loaded segment it is in; 0: in none. */
static size_t
bytes_loaded_at(const struct dl_phdr_info *object, uintptr_t address)
{
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        const elf_segment *segment = &object->dlpi_phdr[i];
        uintptr_t offset = address - (object->dlpi_addr + segment->p_vaddr);
        if (segment->p_type == PT_LOAD && (segment->p_flags & PF_R) && offset < segment->p_memsz) {
            return segment->p_memsz - offset;
        }
    }
    return 0;
}

int
got_contains(const struct dl_phdr_info *object, uintptr_t address)
{
    return bytes_loaded_at(object, address) != 0;
}

/* The table at a d_ptr.  Some loaders (glibc) write the relocated address back
 * into the dynamic section, some (musl, and glibc for the vDSO) leave the
 * offset; only one of the two readings is an address inside the object. */
static struct table
table_at(const struct dl_phdr_info *object, elf_address pointer, size_t size)
{
    const uintptr_t readings[] = {pointer, object->dlpi_addr + pointer};
    for (size_t i = 0; i < 2; i++) {
        size_t loaded = bytes_loaded_at(object, readings[i]);
        if (loaded != 0 && loaded >= size) {
            return (struct table){readings[i], size != 0 ? size : loaded};
        }
    }
    return (struct table){0, 0};
}

static const elf_dynamic *
dynamic_entry(const elf_dynamic *entries, size_t count, elf_tag tag)
{
    for (size_t i = 0; i < count && entries[i].d_tag != DT_NULL; i++) {
        if (entries[i].d_tag == tag) {
            return &entries[i];
        }
    }
    return NULL;
}

/* 0, or -1 if the object has no imports that can be read. */
static int
dynamic_read(const struct dl_phdr_info *object, struct dynamic *self)
{
    const elf_dynamic *entries = NULL;
    size_t count = 0;
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        const elf_segment *segment = &object->dlpi_phdr[i];
        if (segment->p_type == PT_DYNAMIC) {
            uintptr_t start = object->dlpi_addr + segment->p_vaddr;
            size_t loaded = bytes_loaded_at(object, start);
            size_t size = segment->p_memsz < loaded ? segment->p_memsz : loaded;
            entries = (const elf_dynamic *)start;
            count = size / sizeof(*entries);
        }
    }
    const elf_dynamic *symbols = dynamic_entry(entries, count, DT_SYMTAB);
    const elf_dynamic *strings = dynamic_entry(entries, count, DT_STRTAB);
    const elf_dynamic *strings_size = dynamic_entry(entries, count, DT_STRSZ);
    if (symbols == NULL || strings == NULL || strings_size == NULL) {
        return -1;
    }
    /* The number of symbols is not recorded anywhere: the segment bounds it. */
    self->symbols = table_at(object, symbols->d_un.d_ptr, 0);
    self->strings = table_at(object, strings->d_un.d_ptr, strings_size->d_un.d_val);
    if (self->symbols.start == 0 || self->strings.start == 0) {
        return -1;
    }
    static const struct {
        elf_tag start, size;
    } tags[3] = {{DT_JMPREL, DT_PLTRELSZ}, {DT_RELA, DT_RELASZ}, {DT_REL, DT_RELSZ}};
    const elf_dynamic *kind = dynamic_entry(entries, count, DT_PLTREL);
    int with_addend = kind != NULL && kind->d_un.d_val == DT_RELA;
    self->strides[0] = with_addend ? sizeof(elf_rela) : sizeof(elf_rel);
    self->strides[1] = sizeof(elf_rela);
    self->strides[2] = sizeof(elf_rel);
    for (size_t i = 0; i < 3; i++) {
        const elf_dynamic *start = dynamic_entry(entries, count, tags[i].start);
        const elf_dynamic *size = dynamic_entry(entries, count, tags[i].size);
        self->relocations[i] = (struct table){0, 0};
        if (start != NULL && size != NULL && size->d_un.d_val != 0) {
            self->relocations[i] = table_at(object, start->d_un.d_ptr, size->d_un.d_val);
        }
    }
    return 0;
}

/* The name of an undefined symbol; NULL for any other. */
static const char *
import_name(const struct dynamic *self, size_t index)
{
    if (index >= self->symbols.size / sizeof(elf_symbol)) {
        return NULL;
    }
    const elf_symbol *symbol = (const elf_symbol *)self->symbols.start + index;
    if (symbol->st_shndx != SHN_UNDEF || symbol->st_name >= self->strings.size) {
        return NULL;
    }
    return (const char *)self->strings.start + symbol->st_name;
}

void
got_visit(const struct dl_phdr_info *object,
          void (*found)(uintptr_t *entry, const char *name, int lazy, void *arg), void *arg)
{
    struct dynamic dynamic;
    if (dynamic_read(object, &dynamic) < 0) {
        return;
    }
    for (size_t i = 0; i < 3; i++) {
        uintptr_t at = dynamic.relocations[i].start;
        uintptr_t end = at + dynamic.relocations[i].size;
        for (; at < end; at += dynamic.strides[i]) {
            /* elf_rela begins like elf_rel; the addend is of no interest. */
            const elf_rel *relocation = (const elf_rel *)at;
            size_t type = RELOCATION_TYPE(relocation->r_info);
            if (type != JUMP_SLOT && type != GLOB_DAT && type != ABSOLUTE) {
                continue;
            }
            const char *name = import_name(&dynamic, RELOCATION_SYMBOL(relocation->r_info));
            uintptr_t entry = object->dlpi_addr + relocation->r_offset;
            if (name != NULL && entry % sizeof(uintptr_t) == 0
                && bytes_loaded_at(object, entry) >= sizeof(uintptr_t)) {
                found((uintptr_t *)entry, name, type == JUMP_SLOT, arg);
            }
        }
    }
}

/* The access that the page of `address` has once the object is relocated. */
static int
page_protection(const struct dl_phdr_info *object, uintptr_t address, uintptr_t page_size)
{
    int protection = PROT_NONE;
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        const elf_segment *segment = &object->dlpi_phdr[i];
        uintptr_t start = object->dlpi_addr + segment->p_vaddr;
        uintptr_t end = start + segment->p_memsz;
        if (segment->p_type == PT_GNU_RELRO && address >= (start & -page_size)
            && address < (end & -page_size)) {
            return PROT_READ;
        }
        if (segment->p_type == PT_LOAD && address >= start && address < end) {
            protection = (segment->p_flags & PF_R ? PROT_READ : 0)
                         | (segment->p_flags & PF_W ? PROT_WRITE : 0)
                         | (segment->p_flags & PF_X ? PROT_EXEC : 0);
        }
    }
    return protection;
}

int
got_exchange(const struct dl_phdr_info *object, uintptr_t *entry, uintptr_t expected,
             uintptr_t value)
{
    uintptr_t page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
    void *page = (void *)((uintptr_t)entry & -page_size);
    int protection = page_protection(object, (uintptr_t)entry, page_size);
    int read_only = !(protection & PROT_WRITE);
    if (protection & PROT_EXEC) {
        return -1;
    }
    if (read_only && mprotect(page, page_size, protection | PROT_WRITE) < 0) {
        return -1;
    }
    int done =
        __atomic_compare_exchange_n(entry, &expected, value, 0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
    if (read_only) {
        mprotect(page, page_size, protection);
    }
    return done ? 0 : -1;
}

#endif
