drop table job_workers;
drop table job_routes;
drop table job_queues;
drop table jobs;
