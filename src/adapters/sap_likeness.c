/* Do two names say the same? Both are taken apart into words; some words mean others, a unit at the end says nothing of the
 * field, and words that all fields share do not count. */
#include "adapters/sap_likeness.h"

#include "base/text.h"

#define WORDS_MAX 12

struct words {
    struct str at[WORDS_MAX];
    int count;
};

/* What people call things, and what SAP's equipment calls them. */
static const struct {
    const char *ours, *theirs;
} known[] = {
    {"description", "EquipmentName"},
    {"serial", "ManufacturerSerialNumber"},
    {"serial_number", "ManufacturerSerialNumber"},
    {"serial_no", "ManufacturerSerialNumber"},
    {"vendor", "AssetManufacturerName"},
    {"manufacturer", "AssetManufacturerName"},
    {"model", "ManufacturerPartTypeName"},
    {"product", "ManufacturerPartTypeName"},
    {"part_number", "ManufacturerPartNmbr"},
    {"country", "ManufacturerCountry"},
    {"year", "ConstructionYear"},
    {"inventory", "InventoryNumber"},
    {"asset_tag", "InventoryNumber"},
    {"site", "MaintenancePlant"},
    {"plant", "MaintenancePlant"},
    {"room", "AssetRoom"},
    {"building", "AssetLocation"},
    {"location", "AssetLocation"},
    {"company", "CompanyCode"},
    {"weight", "GrossWeight"},
    {"commissioned", "OperationStartDate"},
    {"installed", "OperationStartDate"},
    {"in_service", "OperationStartDate"},
    {"purchased", "AcquisitionDate"},
    {"acquired", "AcquisitionDate"},
    {"retired", "EquipmentEndOfUseDate"},
    {"decommissioned", "EquipmentEndOfUseDate"},
    {"parent", "SuperordinateEquipment"},
    {"kind", "TechnicalObjectType"},
};

/* Units that people write behind the name of an amount, and how SAP writes them. */
static const struct {
    const char *ours, *theirs;
} units[] = {{"kg", "KG"}, {"g", "G"},   {"t", "TO"},  {"lb", "LB"},   {"km", "KM"},
             {"m", "M"},   {"cm", "CM"}, {"mm", "MM"}, {"l", "L"},     {"kw", "KW"},
             {"w", "W"},   {"v", "V"},   {"a", "A"},   {"eur", "EUR"}, {"usd", "USD"}};

static bool is_noise(struct str word)
{
    static const char *const words[] = {"yy1", "zz1", "device", "equipment", "asset"};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (str_is(word, words[i])) {
            return true;
        }
    }
    return false;
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_word_char(char c)
{
    return (c >= 'a' && c <= 'z') || is_upper(c) || (c >= '0' && c <= '9') ||
           (unsigned char)c >= 0x80;
}

/* serialNumber, serial_number, SerialNumber: serial, number. ABCIndicator: abc, indicator. */
static void split(struct arena *arena, struct str name, struct words *ret)
{
    size_t begin = 0;
    *ret = (struct words){0};
    for (size_t i = 0; i <= name.len; i++) {
        bool escape = i > 0 && i < name.len && name.s[i - 1] == '~'; /* ~0, ~1 of a pointer */
        bool end = i == name.len || escape || !is_word_char(name.s[i]);
        bool hump = !end && i > begin && is_upper(name.s[i]) &&
                    (!is_upper(name.s[i - 1]) ||
                     (i + 1 < name.len && name.s[i + 1] >= 'a' && name.s[i + 1] <= 'z'));
        if ((end || hump) && i > begin && ret->count < WORDS_MAX) {
            ret->at[ret->count++] = text_lower(arena, (struct str){name.s + begin, i - begin});
        }
        begin = end ? i + 1 : hump ? i : begin;
    }
}

static bool has(const struct words *words, struct str word)
{
    for (int i = 0; i < words->count; i++) {
        if (str_equal(words->at[i], word)) {
            return true;
        }
    }
    return false;
}

/* The last member of a pointer. */
static struct str last_step(struct str pointer)
{
    struct str step = pointer;
    while (pointer.len) {
        step = text_cut(&pointer, '/');
    }
    return step;
}

static struct str unit_of(const struct words *words)
{
    struct str last = words->count > 1 ? words->at[words->count - 1] : STR("");
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        if (str_is(last, units[i].ours)) {
            return str_of(units[i].theirs);
        }
    }
    return STR("");
}

struct str sap_likeness_unit(struct arena *arena, struct str pointer)
{
    struct words words;
    split(arena, last_step(pointer), &words);
    return unit_of(&words);
}

static void drop_noise(struct words *words)
{
    struct words kept = {0};
    for (int i = 0; i < words->count; i++) {
        if (!is_noise(words->at[i])) {
            kept.at[kept.count++] = words->at[i];
        }
    }
    *words = kept.count ? kept : *words;
}

static bool is_known(struct arena *arena, const struct words *words, struct str property)
{
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        struct words wanted;
        if (!str_is(property, known[i].theirs)) {
            continue;
        }
        split(arena, str_of(known[i].ours), &wanted);
        int behind = words->count - wanted.count;
        bool same = behind >= 0;
        for (int k = 0; same && k < wanted.count; k++) {
            same = str_equal(words->at[behind + k], wanted.at[k]);
        }
        if (same) {
            return true;
        }
    }
    return false;
}

int sap_likeness(struct arena *arena, struct str pointer, struct str property)
{
    struct words ours, theirs, whole;
    split(arena, last_step(pointer), &ours);
    split(arena, property, &theirs);
    split(arena, pointer, &whole);
    ours.count -= unit_of(&ours).len > 0;
    drop_noise(&ours);
    drop_noise(&theirs);
    int same = 0, more = 0;
    for (int i = 0; i < ours.count; i++) {
        same += has(&theirs, ours.at[i]);
    }
    for (int i = 0; i < theirs.count; i++) {
        more += has(&whole, theirs.at[i]) && !has(&ours, theirs.at[i]); /* said further up */
    }
    if (same && same == ours.count && same + more >= theirs.count) {
        return 100;
    }
    if (is_known(arena, &ours, property)) {
        return 80;
    }
    return same ? 60 * (same + more) / (ours.count + theirs.count - same) : 0;
}
