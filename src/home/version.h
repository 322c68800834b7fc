#ifndef HOME_VERSION_H
#define HOME_VERSION_H

#define HOURBELL_VERSION "0.1.0"

#endif
