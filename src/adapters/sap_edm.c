/* The field table of the mock's Equipment. Lengths and marks: SAP's $metadata of API_EQUIPMENT. Pure. */
#include "adapters/sap_edm.h"

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
