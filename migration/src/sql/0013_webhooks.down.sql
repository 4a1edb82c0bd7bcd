delete from notifications where kind = 'webhook_paused';
drop table webhook_attempts;
drop table webhook_deliveries;
drop table webhooks;
