/* The functions behind the sub-commands, one file cmd_<topic>.c each. They take checked options and return
 * an exit code; what they do with the outside is their own. The table is in main_hourbell.c. */
#ifndef HOME_CMD_H
#define HOME_CMD_H

#include "home/command.h"

int cmd_serve(const struct args *);    /* cmd_serve.c */
int cmd_mock_sap(const struct args *); /* cmd_mock_sap.c */
int cmd_config(const struct args *);   /* cmd_config.c */

int cmd_create(const struct args *); /* cmd_device.c */
int cmd_update(const struct args *);
int cmd_show(const struct args *);
int cmd_log(const struct args *);
int cmd_pending(const struct args *);
int cmd_act(const struct args *);
int cmd_work(const struct args *); /* cmd_work.c */
int cmd_redrive(const struct args *);
int cmd_downstream(const struct args *);

int cmd_keys_list(const struct args *); /* cmd_keys.c */
int cmd_keys_create(const struct args *);
int cmd_keys_rotate(const struct args *);
int cmd_keys_delete(const struct args *);
int cmd_keys_generate(const struct args *);

int cmd_import(const struct args *);           /* cmd_import.c */
int cmd_export(const struct args *);           /* cmd_export.c */
int cmd_backup(const struct args *);           /* cmd_backup.c */
int cmd_restore(const struct args *);          /* cmd_restore.c */
int cmd_check(const struct args *);            /* cmd_check.c */
int cmd_check_downstream(const struct args *); /* cmd_check_downstream.c */
int cmd_mapping_init(const struct args *);     /* cmd_mapping.c */
int cmd_version(const struct args *);          /* cmd_version.c */

#endif
