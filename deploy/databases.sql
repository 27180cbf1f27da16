-- Makes the databases of Prefect and MLflow next to that of the lake, when the container of PostgreSQL starts for the first time.
create database prefect;
create database mlflow;
