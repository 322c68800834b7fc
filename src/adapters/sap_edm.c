/* The field table of the mock's Equipment. Lengths and marks: SAP's $metadata of API_EQUIPMENT. Pure. */
#include "adapters/sap_edm.h"

#include <stdio.h>
#include <utf8proc.h>

#include "base/text.h"

#define DAY_MS INT64_C(86400000)
#define DAY_MIN_MS INT64_C(-62135596800000) /* 0001-01-01 */
#define DAY_MAX_MS INT64_C(253402214400000) /* 9999-12-31 */

/* clang-format off */
#define TEXT(name, max) {#name, EDM_STRING, max, 0, false, true, true}
#define UPPER(name, max) {#name, EDM_STRING, max, 0, true, true, true}
#define DATE(name) {#name, EDM_DATE, 0, 0, false, true, true}
const struct edm_field sap_edm_fields[] = {
    [EDM_EQUIPMENT] = {"Equipment", EDM_STRING, 18, 0, true, true, false},
    [EDM_VALIDITY_END] = {"ValidityEndDate", EDM_DATE, 0, 0, false, false, false},
    [EDM_CATEGORY] = {"EquipmentCategory", EDM_STRING, 1, 0, true, true, false},
    [EDM_SORT_CODE] = UPPER(TechnicalObjectSortCode, 25),
    [EDM_NAME] = TEXT(YY1_DEVICE_NAME, 256),
    [EDM_CHANGED_AT] = {"LastChangeDateTime", EDM_MOMENT, 0, 0, false, false, false},
    [EDM_CREATED_AT] = {"CreationDate", EDM_DATE, 0, 0, false, false, false},
    [EDM_PLANT] = UPPER(MaintenancePlant, 4),
    TEXT(EquipmentName, 40), UPPER(TechnicalObjectType, 10), UPPER(ManufacturerSerialNumber, 30),
    TEXT(AssetManufacturerName, 30), TEXT(ManufacturerPartTypeName, 20), UPPER(ManufacturerPartNmbr, 30),
    TEXT(ManufacturerCountry, 3), TEXT(ConstructionYear, 4), TEXT(ConstructionMonth, 2), UPPER(InventoryNumber, 25),
    UPPER(MaintObjectFreeDefinedAttrib, 30), TEXT(MaintenancePlanningPlant, 4), TEXT(AssetLocation, 10),
    TEXT(AssetRoom, 8), TEXT(ABCIndicator, 1), TEXT(CostCenter, 10), TEXT(CompanyCode, 4), TEXT(Material, 40),
    TEXT(SerialNumber, 18), TEXT(SuperordinateEquipment, 18),
    {"GrossWeight", EDM_DECIMAL, 13, 3, false, true, true}, TEXT(GrossWeightUnit, 3),
    DATE(OperationStartDate), DATE(AcquisitionDate), DATE(EquipmentEndOfUseDate),
    {"WorkCenterPlant", EDM_STRING, 4, 0, true, true, false},
    {"FunctionalLocation", EDM_STRING, 40, 0, true, true, false},
    {"EquipmentIsAvailable", EDM_BOOLEAN, 0, 0, false, false, false},
    TEXT(YY1_DEVICE_VENDOR, 256), TEXT(YY1_DEVICE_PRODUCT, 256), TEXT(YY1_DEVICE_NOTE, 1333),
};
/* clang-format on */
const int sap_edm_count = (int)COUNT_OF(sap_edm_fields);

int sap_edm_find(struct str name)
{
    for (int i = 0; i < sap_edm_count; i++) {
        if (str_is(name, sap_edm_fields[i].name)) {
            return i;
        }
    }
    return -1;
}

const char *sap_edm_type_name(enum edm type)
{
    static const char *const names[] = {
        [EDM_STRING] = "Edm.String",   [EDM_DECIMAL] = "Edm.Decimal",
        [EDM_DATE] = "Edm.DateTime",   [EDM_MOMENT] = "Edm.DateTimeOffset",
        [EDM_BOOLEAN] = "Edm.Boolean",
    };
    return names[type];
}

size_t sap_edm_length(struct str utf8)
{
    size_t units = 0;
    for (size_t i = 0; i < utf8.len; i++) {
        unsigned char byte = (unsigned char)utf8.s[i];
        units += (byte & 0xC0U) != 0x80U; /* one per code point */
        units += byte >= 0xF0U;           /* and one more beyond U+FFFF */
    }
    return units;
}

/* Days since 1970-01-01 of a civil date, and back: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms". */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400, year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

void sap_edm_day_write(int64_t at_ms, char ret_day[11])
{
    int64_t clamped = at_ms < DAY_MIN_MS ? DAY_MIN_MS : at_ms > DAY_MAX_MS ? DAY_MAX_MS : at_ms;
    int64_t days = (clamped - DAY_MIN_MS) / DAY_MS + DAY_MIN_MS / DAY_MS + 719468;
    int64_t era = days / 146097, day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153;
    int64_t month = shifted < 10 ? shifted + 3 : shifted - 9;
    unsigned date = (unsigned)(day_of_year - (153 * shifted + 2) / 5 + 1);
    unsigned year = (unsigned)(year_of_era + era * 400 + (month <= 2));
    (void)snprintf(ret_day, 11, "%04u-%02u-%02u", year % 10000, (unsigned)month % 100, date % 100);
}

bool sap_edm_day_read(struct str day, int64_t *ret_at_ms)
{
    int64_t year, month, date;
    char again[11];
    if (day.len != 10 || day.s[4] != '-' || day.s[7] != '-' ||
        text_to_i64(str_head(day, 4), &year) != RC_OK ||
        text_to_i64((struct str){day.s + 5, 2}, &month) != RC_OK ||
        text_to_i64((struct str){day.s + 8, 2}, &date) != RC_OK || year < 1 || month < 1 ||
        month > 12) {
        return false;
    }
    int64_t at_ms = days_of(year, month, date) * DAY_MS;
    sap_edm_day_write(at_ms, again); /* the 31st of a short month reads as another day */
    if (!str_is(day, again)) {
        return false;
    }
    *ret_at_ms = at_ms;
    return true;
}

bool sap_edm_date_read(struct str text, int64_t *ret_at_ms)
{
    int64_t number;
    if (!str_starts(text, STR("/Date("))) {
        return text.len >= 10 && (text.len == 10 || text.s[10] == 'T') &&
               sap_edm_day_read(str_head(text, 10), ret_at_ms);
    }
    struct str digits = str_from(text, 6);
    if (digits.len < 3 || digits.s[digits.len - 2] != ')' || digits.s[digits.len - 1] != '/') {
        return false;
    }
    digits.len -= 2;
    bool before_1970 = digits.s[0] == '-';
    digits = str_from(digits, before_1970);
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.s[i] == '+' ||
            digits.s[i] == '-') { /* an offset in minutes: the moment is the same */
            digits.len = i;
        }
    }
    if (text_to_i64(digits, &number) != RC_OK) {
        return false;
    }
    *ret_at_ms = before_1970 ? -number : number;
    return true;
}

struct str sap_edm_upper(struct arena *arena, struct str text)
{
    struct text out;
    utf8proc_ssize_t at = 0, end = (utf8proc_ssize_t)text.len;
    text_open(&out, arena, text.len * 2 + 8);
    while (at < end) {
        utf8proc_int32_t point = 0;
        utf8proc_uint8_t bytes[4];
        utf8proc_ssize_t step =
            utf8proc_iterate((const utf8proc_uint8_t *)text.s + at, end - at, &point);
        if (step <= 0) {
            break;
        }
        at += step;
        utf8proc_ssize_t size = utf8proc_encode_char(utf8proc_toupper(point), bytes);
        text_add(&out, (struct str){(const char *)bytes, (size_t)size});
    }
    return text_str(&out);
}
