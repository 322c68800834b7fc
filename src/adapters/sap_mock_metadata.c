/* The mock's $metadata in both versions, made from the one table of fields (sap_edm.c). Written by hand after the
 * published description of the service; nothing of SAP's own files is in it. */
#include "adapters/sap_mock_parts.h"

#define ROOM_BYTES ((size_t)1 << 20)
#define SPACE_V2 "cds_api_equipment"
#define SPACE_V4 "com.sap.gateway.srvd_a2x.equipment.v0001"

static bool is_key(int place)
{
    return place == EDM_EQUIPMENT || place == EDM_VALIDITY_END;
}

static const char *type_v4(enum edm type)
{
    return type == EDM_DATE ? "Edm.Date" : sap_edm_type_name(type);
}

/* Name, type and size: what both versions write alike. */
static void add_property(struct text *out, const struct edm_field *field, const char *type)
{
    text_printf(out, "<Property Name=\"%s\" Type=\"%s\"", field->name, type);
    if (field->max) {
        text_printf(out, field->type == EDM_DECIMAL ? " Precision=\"%d\"" : " MaxLength=\"%d\"",
                    field->max);
    }
    if (field->type == EDM_DECIMAL) {
        text_printf(out, " Scale=\"%d\"", field->scale);
    }
}

static void write_v2(struct text *out)
{
    text_add(out, STR("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<edmx:Edmx Version=\"1.0\" "
                      "xmlns:edmx=\"http://schemas.microsoft.com/ado/2007/06/edmx\" "
                      "xmlns:m=\"http://schemas.microsoft.com/ado/2007/08/dataservices/metadata\" "
                      "xmlns:sap=\"http://www.sap.com/Protocols/SAPData\">\n"
                      "<edmx:DataServices m:DataServiceVersion=\"2.0\">\n<Schema "
                      "Namespace=\"" SPACE_V2 "\" "
                      "xmlns=\"http://schemas.microsoft.com/ado/2008/09/edm\">\n"
                      "<EntityType Name=\"EquipmentType\" "
                      "sap:content-version=\"1\">\n<Key><PropertyRef Name=\"Equipment\"/>"
                      "<PropertyRef Name=\"ValidityEndDate\"/></Key>\n"));
    for (int i = 0; i < sap_edm_count; i++) {
        const struct edm_field *field = &sap_edm_fields[i];
        add_property(out, field, sap_edm_type_name(field->type));
        text_printf(out, "%s%s%s%s/>\n", is_key(i) ? " Nullable=\"false\"" : "",
                    field->upper ? " sap:display-format=\"UpperCase\"" : "",
                    field->creatable ? "" : " sap:creatable=\"false\"",
                    field->updatable ? "" : " sap:updatable=\"false\"");
    }
    text_add(out, STR("</EntityType>\n<EntityContainer Name=\"" SPACE_V2 "_Entities\" "
                      "m:IsDefaultEntityContainer=\"true\">\n<EntitySet Name=\"Equipment\" "
                      "EntityType=\"" SPACE_V2 ".EquipmentType\" sap:deletable=\"false\"/>\n"
                      "</EntityContainer>\n</Schema>\n</edmx:DataServices>\n</edmx:Edmx>\n"));
}

static void add_annotations_v4(struct text *out, const struct edm_field *field)
{
    text_printf(out, "<Annotations Target=\"SAP__self.EquipmentType/%s\">", field->name);
    if (!field->creatable && !field->updatable) {
        text_add(out, STR("<Annotation Term=\"SAP__core.Computed\"/>"));
    } else if (!field->updatable) {
        text_add(out, STR("<Annotation Term=\"SAP__core.Immutable\"/>"));
    }
    text_add(out, field->upper ? STR("<Annotation Term=\"SAP__common.IsUpperCase\"/>") : STR(""));
    text_add(out, STR("</Annotations>\n"));
}

static void write_v4(struct text *out)
{
    text_add(out,
             STR("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<edmx:Edmx Version=\"4.0\" "
                 "xmlns:edmx=\"http://docs.oasis-open.org/odata/ns/edmx\" "
                 "xmlns=\"http://docs.oasis-open.org/odata/ns/edm\">\n"
                 "<edmx:Reference Uri=\"https://oasis-tcs.github.io/odata-vocabularies/"
                 "vocabularies/Org.OData.Core.V1.xml\"><edmx:Include "
                 "Namespace=\"Org.OData.Core.V1\" Alias=\"SAP__core\"/></edmx:Reference>\n"
                 "<edmx:Reference Uri=\"https://oasis-tcs.github.io/odata-vocabularies/"
                 "vocabularies/Org.OData.Capabilities.V1.xml\"><edmx:Include "
                 "Namespace=\"Org.OData.Capabilities.V1\" Alias=\"SAP__capabilities\"/>"
                 "</edmx:Reference>\n"
                 "<edmx:Reference Uri=\"https://sap.github.io/odata-vocabularies/vocabularies/"
                 "Common.xml\"><edmx:Include Namespace=\"com.sap.vocabularies.Common.v1\" "
                 "Alias=\"SAP__common\"/></edmx:Reference>\n"
                 "<edmx:DataServices>\n<Schema Namespace=\"" SPACE_V4 "\" Alias=\"SAP__self\">\n"
                 "<EntityType Name=\"EquipmentType\">\n<Key><PropertyRef Name=\"Equipment\"/>"
                 "<PropertyRef Name=\"ValidityEndDate\"/></Key>\n"));
    for (int i = 0; i < sap_edm_count; i++) {
        const struct edm_field *field = &sap_edm_fields[i];
        bool holds_null = field->type == EDM_DATE && !is_key(i);
        add_property(out, field, type_v4(field->type));
        text_add(out, holds_null ? STR("/>\n") : STR(" Nullable=\"false\"/>\n"));
    }
    text_add(out, STR("</EntityType>\n<EntityContainer Name=\"Container\">\n<EntitySet "
                      "Name=\"Equipment\" EntityType=\"" SPACE_V4 ".EquipmentType\"/>\n"
                      "</EntityContainer>\n"));
    for (int i = 0; i < sap_edm_count; i++) {
        const struct edm_field *field = &sap_edm_fields[i];
        if (field->upper || !field->updatable) {
            add_annotations_v4(out, field);
        }
    }
    text_add(out, STR("<Annotations Target=\"SAP__self.Container/Equipment\">"
                      "<Annotation Term=\"SAP__core.OptimisticConcurrency\"><Collection/>"
                      "</Annotation><Annotation Term=\"SAP__capabilities.DeleteRestrictions\">"
                      "<Record><PropertyValue Property=\"Deletable\" Bool=\"false\"/></Record>"
                      "</Annotation></Annotations>\n"
                      "</Schema>\n</edmx:DataServices>\n</edmx:Edmx>\n"));
}

void sap_op_answer_metadata(struct sap_op *op)
{
    struct text out;
    text_open(&out, op->arena, ROOM_BYTES);
    if (op->target.v4) {
        write_v4(&out);
    } else {
        write_v2(&out);
    }
    assert(!out.full);
    op->answer->status = 200;
    op->answer->body = text_str(&out);
    sap_op_add_header(op, "Content-Type", STR("application/xml"));
    sap_op_add_version(op);
}
